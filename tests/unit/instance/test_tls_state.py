# SPDX-License-Identifier: MIT
"""What TLS changes in directives, ports and plans of an instance; no server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.errors import RefusedError
from keyfleet.core.instance.links import LINK_DIRECTIVES, keeping_links
from keyfleet.core.instance.model import Instance, from_options, from_variables, module_options
from keyfleet.core.instance.record import Record
from keyfleet.core.instance.state import Running, State
from keyfleet.core.instance.tls import certificate_reasons, in_order
from keyfleet.core.instance.validation import problems
from keyfleet.core.layout import Layout
from keyfleet.core.service.manager import ServiceStatus
from keyfleet.core.tls.certificates import digest, leaf_fingerprint

PORTS = st.sampled_from(["0", "7000", "7001", "7002"])
LAYOUT = Layout("/", "default")
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
OTHER = PEM.replace("AAAA", "BBBB")


@given(PORTS, PORTS, PORTS, PORTS)
def test_ports_change_in_an_order_in_which_none_is_taken(plain: str, secure: str, new_plain: str, new_secure: str) -> None:
    """But for two that swap their numbers, which no order can do."""
    active, desired = {"port": plain, "tls-port": secure}, {"port": new_plain, "tls-port": new_secure}
    taken_twice = [ports for ports in (active, desired) if ports["port"] == ports["tls-port"] != "0"]
    swapped = new_plain == secure != "0" and new_secure == plain != "0"
    if taken_twice or swapped:
        return
    now = dict(active)
    for name, value in in_order({name: value for name, value in desired.items() if active[name] != value}, active).items():
        assert value == "0" or value not in (now["port"], now["tls-port"])
        now[name] = value
    assert desired == now


@pytest.mark.parametrize(
    ("options", "ports"),
    [
        ({"port": 7000}, (7000, 0)),
        ({"port": 7000, "tls_port": 7001}, (7000, 0)),
        ({"port": 7000, "tls": "both", "tls_port": 7001}, (7000, 7001)),
        ({"port": 7000, "tls": "only"}, (0, 7000)),
        ({"port": 7000, "tls": "only", "tls_port": 7001}, (0, 7001)),
    ],
)
def test_which_ports_are_open(options: dict[str, Any], ports: tuple[int, int]) -> None:
    """Without TLS nothing is said of it, since a server without TLS knows no such directive."""
    instance = Instance("default", **options)
    assert ports == (instance.plain_port, instance.secure_port)
    names = {name for name in instance.managed(LAYOUT, "process") if name.startswith("tls-")}
    assert bool(names) == (options.get("tls", "off") != "off")
    recorded = Record.of(instance, "redis")
    assert instance.ports == recorded.as_instance(Instance("default")).ports
    assert names <= set(recorded.applied)


def test_one_file_is_certificate_and_key() -> None:
    """So that they are replaced together."""
    lines = Instance("default", tls="only").managed(LAYOUT, "process")
    assert LAYOUT.tls_file == lines["tls-cert-file"] == lines["tls-key-file"]


@pytest.mark.parametrize(
    ("instance", "leaf", "ca", "reasons"),
    [
        (Instance("x", tls="only", tls_pem=PEM, tls_ca=PEM), leaf_fingerprint(PEM), digest(PEM), []),
        (Instance("x", tls="only", tls_pem=PEM, tls_ca=PEM), leaf_fingerprint(OTHER), digest(PEM), ["its certificate"]),
        (Instance("x", tls="only", tls_pem=PEM, tls_ca=PEM + OTHER), leaf_fingerprint(PEM), digest(PEM), ["its CA certificates"]),
        (Instance("x", tls="only", tls_pem=PEM, tls_ca=PEM), "", "", []),  # TLS is switched on by this run
        (Instance("x", tls="only"), leaf_fingerprint(OTHER), digest(PEM), []),  # nothing is known of certificates
        (Instance("x", tls_pem=PEM), leaf_fingerprint(OTHER), digest(PEM), []),
    ],
)
def test_what_is_loaded_again(instance: Instance, leaf: str, ca: str, reasons: list[str]) -> None:
    """The certificate by what the server shows, the CA file by what was recorded."""
    assert reasons == certificate_reasons(instance, leaf, ca)


def test_certificates_reach_the_modules_of_instances_with_tls_alone() -> None:
    """They are an option of the modules, which hides them."""
    material = {"pem": PEM, "ca": OTHER, "directives": {"tls-protocols": "TLSv1.3"}}
    listed = [{"name": "default", "tls": "only"}, {"name": "plain", "port": 7001}]
    secure, plain = (module_options(one) for one in from_variables({"instances": listed, "tls_material": material}))
    assert (PEM, OTHER, "TLSv1.3") == (secure["tls_pem"], secure["tls_ca"], secure["tls_directives"]["tls-protocols"])
    assert ("", "") == (plain["tls_pem"], plain["tls_ca"])
    assert PEM == from_options(secure).tls_pem
    assert PEM not in repr(from_options(secure))


VARIABLES = {"engine": "redis", "root": "/", "install_method": "none", "service_manager": "auto", "memory_percent": 60}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tls": False}, 'tls is False: give "off", "both" or "only", in quotes'),
        ({"tls": "on"}, "tls is 'on'"),
        ({"tls": "both"}, "give two ports"),
        ({"tls": "both", "tls_port": 6379}, "a port is either with TLS or without it"),
        ({"tls": "only", "port": 0}, "give one of them"),
        ({"tls": "only", "tls_port": 99}, "tls_port is 99"),
        ({"directives": {"tls-cert-file": "/x"}}, "the role redis_tls gives certificates"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    """From the inventory alone."""
    found = problems({**VARIABLES, "instances": [{"name": "default", **options}]})
    assert [problem for problem in found if words in problem], found


PORTS_OF = {"off": ("7000", "0"), "both": ("7000", "7001"), "only": ("0", "7001")}


def state_of(tls: str, *, links: bool, topology: str) -> State:
    """Return the state of a server that listens in one way, and whose links are with TLS or not."""
    plain, secure = PORTS_OF[tls]
    active = {"port": plain, "tls-port": secure, "tls-protocols": "TLSv1.3", LINK_DIRECTIVES[topology]: "yes" if links else "no"}
    running = Running(pid=1, orphaned=False, command="CONFIG", active=active, counts={})
    directives = {"tls-protocols": "TLSv1.3"}
    instance = Instance("default", port=7000, tls=tls, tls_port=7001 if tls != "off" else 0, tls_directives=directives, topology=topology)
    return State(ServiceStatus("running"), running, Record.of(instance, "redis"), has_tls_files=tls != "off")


@pytest.mark.parametrize("topology", LINK_DIRECTIVES)
@pytest.mark.parametrize(
    ("now", "links", "desired", "until"),
    [
        ("off", False, "both", (7000, 7001)),
        ("off", False, "only", (7000, 7001)),  # the links are still without TLS
        ("both", False, "only", (7000, 7001)),
        ("both", True, "only", (0, 7001)),
        ("only", True, "both", (7000, 7001)),
        ("only", True, "off", (7000, 7001)),  # the links are still with TLS
        ("both", True, "off", (7000, 7001)),
        ("both", False, "off", (7000, 0)),
        ("only", False, "only", (0, 7001)),  # just started, and linked to none
        ("only", True, "only", (0, 7001)),
        ("off", False, "off", (7000, 0)),
    ],
)
def test_no_port_is_closed_that_links_use(topology: str, now: str, *, links: bool, desired: str, until: tuple[int, int]) -> None:
    """Until the links have moved an instance listens in both ways, with the demands of TLS that it has."""
    given = Instance("default", port=7000, tls=desired, tls_port=7001 if desired != "off" else 0, topology=topology)
    kept = keeping_links(given, state_of(now, links=links, topology=topology))
    assert until == (kept.plain_port, kept.secure_port)
    if desired == "off" and kept.secure_port:
        assert {"tls-protocols": "TLSv1.3"} == kept.tls_directives


def test_a_single_node_has_no_links() -> None:
    """Whatever a user made of it."""
    kept = keeping_links(Instance("default", port=7000, tls="only", tls_port=7001), state_of("both", links=False, topology="cluster"))
    assert (0, 7001) == (kept.plain_port, kept.secure_port)


def test_links_need_two_ports_to_move_between() -> None:
    """The number of the port cannot stay the same meanwhile."""
    with pytest.raises(RefusedError, match="two ports meanwhile"):
        keeping_links(Instance("default", port=7000, tls="only", topology="cluster"), state_of("off", links=False, topology="cluster"))


def test_two_instances_share_no_port() -> None:
    """Of either kind."""
    listed = [{"name": "default", "tls": "both", "tls_port": 7001}, {"name": "other", "port": 7001}]
    assert [problem for problem in problems({**VARIABLES, "instances": listed}) if "7001, which instance 'default' has too" in problem]
