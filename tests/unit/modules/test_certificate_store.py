# SPDX-License-Identifier: MIT
"""Certificates on the controller: made once, renewed alone, rotated through every crash, and judged by OpenSSL's own rules."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.keyfleet.redis.plugins.plugin_utils.certificate_store import HostRequest, Store, StoreError
from ansible_collections.keyfleet.redis.plugins.plugin_utils.x509 import certificates_in, fingerprint, inspect, issue, make_ca

NAMES = ("node1", "localhost", "127.0.0.1", "::1")


def request_of(tmp_path: Path, host: str = "node1", **options: object) -> HostRequest:
    """Return what a host needs of the deployment's own CA."""
    return HostRequest.of(host, {"folder": str(tmp_path / "tls"), "source": "own", "names": [host, *NAMES[1:]], **options})


def handshake(server_pem: str, ca: str, name: str, tmp_path: Path) -> None:
    """Let OpenSSL verify a server's certificate in a handshake in memory; raise what it refuses."""
    pem = tmp_path / "handshake.pem"
    pem.write_text(server_pem)
    server_context, client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_context.load_cert_chain(pem, pem)
    client_context.load_verify_locations(cadata=ca)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _unused in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_a_certificate_is_made_once_and_accepted(tmp_path: Path) -> None:
    """By every name, and by no other; a second run makes nothing."""
    store = Store(str(tmp_path / "tls"), check=False)
    made = store.certificate(request_of(tmp_path))
    for name in NAMES:
        handshake(made["pem"], made["ca"], name, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made["pem"], made["ca"], "node2", tmp_path)
    again = Store(str(tmp_path / "tls"), check=False)
    assert {**made, "issued": ""} == again.certificate(request_of(tmp_path))
    assert [] == again.changes
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "tls").rglob("*.pem")}
    assert {0o600} == modes


def test_another_host_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    """Neither the CA nor another certificate is issued again."""
    first = Store(str(tmp_path / "tls"), check=False).certificate(request_of(tmp_path))
    files = {path: path.read_bytes() for path in (tmp_path / "tls").rglob("*.pem")}
    store = Store(str(tmp_path / "tls"), check=False)
    second = store.certificate(request_of(tmp_path, "node2"))
    assert ["a certificate of node2: it has none"] == store.changes
    assert first["ca"] == second["ca"]
    assert files == {path: path.read_bytes() for path in files}


def test_check_mode_writes_nothing_and_foresees(tmp_path: Path) -> None:
    """What it returns is fit for the comparisons that follow."""
    store = Store(str(tmp_path / "tls"), check=True)
    made = store.certificate(request_of(tmp_path))
    assert 2 == len(store.changes)
    assert not (tmp_path / "tls").exists()
    handshake(made["pem"], made["ca"], "node1", tmp_path)


def test_it_is_renewed_in_time_and_when_names_are_added(tmp_path: Path) -> None:
    """The key is a new one each time."""
    store = Store(str(tmp_path / "tls"), check=False)
    first = store.certificate(request_of(tmp_path, days=20))
    second = store.certificate(request_of(tmp_path))
    assert "in fewer than 30 days" in second["issued"]
    third = store.certificate(request_of(tmp_path, names=["node1", "cache.example.org"]))
    assert "it is not valid for cache.example.org" == third["issued"]
    forced = store.certificate(request_of(tmp_path), again=True)
    assert 4 == len({one["fingerprint"] for one in (first, second, third, forced)})


def crash_points(tmp_path: Path) -> list[tuple[str, Callable[[Store], object]]]:
    """Return the steps of a change of the CA."""
    request = request_of(tmp_path)
    return [
        ("begin", Store.begin_change),
        ("bundle", lambda store: store.certificate(request)),
        ("change", Store.change),
        ("leaf", lambda store: store.certificate(request)),
        ("drop", Store.drop),
        ("end", lambda store: store.certificate(request)),
    ]


def test_a_change_of_the_ca_is_trusted_through_every_phase(tmp_path: Path) -> None:
    """Who has the CA file of a phase accepts the certificate of that phase and of the next one; each step may be repeated."""
    Store(str(tmp_path / "tls"), check=False).certificate(request_of(tmp_path))
    trusted = Store(str(tmp_path / "tls"), check=False).certificate(request_of(tmp_path))["ca"]
    sizes, leaves = [], []
    for _name, step in crash_points(tmp_path):
        for _repeated in range(2):
            step(Store(str(tmp_path / "tls"), check=False))
        now = Store(str(tmp_path / "tls"), check=False).certificate(request_of(tmp_path))
        handshake(now["pem"], now["ca"], "node1", tmp_path)
        handshake(now["pem"], trusted, "node1", tmp_path)  # clients that have what the phase before gave them
        trusted = now["ca"]
        sizes.append(len(certificates_in(now["ca"])))
        leaves.append(now["fingerprint"])
    assert [2, 2, 2, 2, 1, 1] == sizes
    assert 2 == len(set(leaves))


def test_a_lost_ca_is_refused(tmp_path: Path) -> None:
    """Nothing is made in its place, and it may come back."""
    folder = tmp_path / "tls"
    made = Store(str(folder), check=False).certificate(request_of(tmp_path))
    (folder / "ca.pem").rename(tmp_path / "kept")
    with pytest.raises(StoreError, match=r"ca.pem is gone"):
        Store(str(folder), check=False).certificate(request_of(tmp_path))
    (tmp_path / "kept").rename(folder / "ca.pem")
    assert made["pem"] == Store(str(folder), check=False).certificate(request_of(tmp_path))["pem"]


@pytest.fixture
def ready(tmp_path: Path) -> HostRequest:
    """Return a request with ready files that are fit."""
    ca = make_ca("a CA", 10)
    pem = issue(ca, "node1", NAMES, 5)
    for name, text in (("ca.crt", certificates_in(ca)[0]), ("ca.pem", ca), ("node.pem", pem), ("node.crt", certificates_in(pem)[0])):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    files = {"ca_file": "ca.crt", "certificate_file": "node.crt", "key_file": "node.pem"}
    return request_of(tmp_path, source="files", announced=["node1"], **{name: str(tmp_path / file) for name, file in files.items()})


def test_ready_files_become_one_pem(ready: HostRequest, tmp_path: Path) -> None:
    """Key and certificate in one text, and the CA's certificate without any key."""
    found = Store(ready.folder, check=False).certificate(ready)
    handshake(found["pem"], found["ca"], "node1", tmp_path)
    assert "PRIVATE" not in found["ca"]
    assert not (tmp_path / "tls").exists()


def test_the_users_own_ca_signs(ready: HostRequest, tmp_path: Path) -> None:
    """Its key stays where it is."""
    request = replace(ready, source="ca", ca_key_file=str(tmp_path / "ca.pem"))
    found = Store(ready.folder, check=False).certificate(request)
    handshake(found["pem"], (tmp_path / "ca.crt").read_text(), "node1", tmp_path)
    assert [tmp_path / "tls/hosts/node1.pem"] == sorted((tmp_path / "tls").rglob("*.pem"))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"key_file": "other.pem", "certificate_file": "node.crt"}, "belong together"),
    "no such name": ({"announced": ["cache.example.org"]}, "clients use cache.example.org"),
    "the CA is a leaf": ({"ca_file": "node.crt"}, "redis_tls_ca_file is .* it is no CA"),
    "the CA expired": ({"ca_file": "old.crt"}, "it expired on"),
    "another CA": ({"ca_file": "other-ca.crt"}, "did not sign it"),
    "no such file": ({"ca_file": "missing"}, "cannot be read: No such file"),
    "no PEM": ({"ca_file": "noise"}, "no certificate in PEM form"),
    "no key": ({"key_file": "node.crt"}, "no private key"),
    "a key that others can read": ({"key_file": "open.pem"}, "a key that others can read .mode 0644"),
    "not set": ({"ca_file": ""}, "redis_tls_ca_file is not set"),
}


@pytest.mark.parametrize("case", BAD)
def test_unfit_files_are_refused(ready: HostRequest, tmp_path: Path, case: str) -> None:
    """With the variable, the file, and what is wrong with it."""
    change, words = BAD[case]
    other = make_ca("another CA", 10)
    texts = {
        "other.pem": issue(other, "node1", NAMES, 5),
        "other-ca.crt": certificates_in(other)[0],
        "old.crt": certificates_in(make_ca("an old CA", 0))[0],
        "open.pem": (tmp_path / "node.pem").read_text(),
        "noise": "noise",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name == "open.pem" else 0o600)
    files = {name: str(tmp_path / value) if value and name.endswith("file") else value for name, value in change.items()}
    with pytest.raises(StoreError, match=words):
        Store(ready.folder, check=False).certificate(replace(ready, **files))  # type: ignore[arg-type]


def test_what_is_read_is_what_was_issued() -> None:
    """Names, purposes and the CA that signed."""
    ca, other = make_ca("a CA", 10), make_ca("another", 10)
    pem = issue(ca, "node1", NAMES, 5)
    assert frozenset(NAMES) == inspect(pem, ca).names
    assert inspect(pem, ca).signed_by_ca
    assert not inspect(pem, other).signed_by_ca
    assert inspect(pem).for_server
    assert inspect(pem).for_client
    assert not inspect(pem).is_ca
    assert inspect(ca).is_ca
    assert 64 == len(fingerprint(pem))
