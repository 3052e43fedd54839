# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The certificates that a deployment keeps on the controller.

``ca.pem`` has key and certificate of its CA, and ``hosts/NAME.pem`` key, certificate and chain of a host: one file and one rename each, so
that no pair is ever half new. While the CA changes, ``ca.next.pem`` is the one that follows: it is trusted, and signs nothing yet.
``ca.previous.pem`` is the one of before: it signs nothing any more, and is trusted until it is dropped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ..module_utils.controller_files import make_private_folder
from .certificate_plan import ca_problems, issue_reason, lost_ca_problem, ready_problems
from .x509 import PemError, certificates_in, fingerprint, has_key, inspect, issue, key_in, make_ca

CA_DAYS = 3650


class StoreError(Exception):
    """Certificates that cannot be used, or files that cannot be read or written; each argument is a sentence."""


@dataclass(frozen=True)
class HostRequest:
    """
    What one host needs.

    Attributes:
        host: Its name in the inventory.
        folder: Where its deployment keeps certificates.
        source: ``own``, ``ca`` or ``files``.
        names: Host names and addresses that its certificate shall be valid for.
        announced: Those that the profiles of clients have.
        days, renew_days: How long a new certificate is valid, and how many days one must be valid still.
        ca_file, ca_key_file: CA of the source ``ca``; with ``files`` the CA alone.
        certificate_file, key_file: Of the source ``files``; the certificate's chain follows it in its file.
    """

    host: str
    folder: str
    source: str
    names: Sequence[str] = ()
    announced: Sequence[str] = ()
    days: int = 365
    renew_days: int = 30
    ca_file: str = ""
    ca_key_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    @classmethod
    def of(cls, host: str, options: Mapping[str, Any]) -> HostRequest:
        """Return the request that options state."""
        return cls(host, **{name: options[name] for name in cls.__dataclass_fields__ if name != "host" and name in options})


class Store:
    """
    The folder of one deployment.

    Args:
        folder: Where it is.
        check: Write nothing; memory holds what would be made.
    Attributes:
        changes: What was made, a phrase each.
    """

    def __init__(self, folder: str, *, check: bool) -> None:
        self.folder, self._check = Path(folder), check
        self.changes: list[str] = []
        self._ca, self._next, self._previous = self.folder / "ca.pem", self.folder / "ca.next.pem", self.folder / "ca.previous.pem"
        self._unwritten: dict[Path, Optional[str]] = {}

    @property
    def phase(self) -> str:
        """Where a change of the CA is: ``next``, ``previous``, or empty if none is under way."""
        return "next" if self._read(self._next) else "previous" if self._read(self._previous) else ""

    def certificate(self, request: HostRequest, *, again: bool = False) -> dict[str, str]:
        """
        Return ``pem`` (key, certificate and chain), ``ca`` (what clients trust), ``fingerprint``, and why it was ``issued`` now.

        Args:
            again: Issue another one in any case.
        Raises:
            StoreError: if files are unfit, or the CA is lost.
        """
        if request.source == "files":
            return self._ready(request)
        signer, trusted = self._authority(request)
        place = self._host_file(request.host)
        pem = self._read(place)
        found = inspect(pem, signer) if pem else None
        longest = inspect(signer).not_after
        reason = "it is asked for" if again and pem else issue_reason(found, request.names, _now(), request.renew_days, longest)
        if pem is None or reason:
            pem = issue(signer, request.host, request.names, request.days)
            self._write(place, pem)
            self.changes.append(f"a certificate of {request.host}: {reason}")
        return {"pem": pem, "ca": trusted, "fingerprint": fingerprint(pem), "issued": reason}

    def begin_change(self) -> bool:
        """Make the next CA, unless a change is under way or there is none to change; return whether it was made."""
        if self.phase or self._read(self._ca) is None:
            return False
        self._write(self._next, _new_ca(self.folder))
        self.changes.append("the next CA")
        return True

    def change(self) -> bool:
        """Let the next CA take the place of the present one, which stays trusted; return whether there was a next one."""
        following = self._read(self._next)
        if following is None:
            return False
        if not self._check:
            with suppress(FileExistsError):  # of a run that was killed in between
                os.link(self._ca, self._previous)
            self._next.replace(self._ca)
        else:
            self._unwritten.update({self._previous: self._read(self._ca), self._ca: following, self._next: None})
        self.changes.append("the next CA signs from now on")
        return True

    def drop(self) -> bool:
        """Trust the CA of before no more; return whether it was trusted."""
        if self._read(self._previous) is None:
            return False
        if not self._check:
            self._previous.unlink(missing_ok=True)
        self._unwritten[self._previous] = None
        self.changes.append("the CA of before is trusted no more")
        return True

    def remove(self) -> bool:
        """Remove everything; return whether there was anything."""
        paths = [path for path in (self._ca, self._next, self._previous, *self._host_files()) if path.exists()]
        for path in paths if not self._check else ():
            path.unlink(missing_ok=True)
        return bool(paths)

    def _authority(self, request: HostRequest) -> tuple[str, str]:
        """Return key and certificate of the CA that signs, and the certificates that are trusted."""
        if request.source == "ca":
            certificate, key = _given("redis_tls_ca_file", request.ca_file), _given("redis_tls_ca_key_file", request.ca_key_file, key=True)
            _refuse(
                "redis_tls_ca_file",
                request.ca_file,
                ca_problems(_inspected("redis_tls_ca_file", request.ca_file, certificate + key), _now()),
            )
            return key + certificate, "".join(certificates_in(certificate))
        present = self._read(self._ca)
        if present is None:
            lost = lost_ca_problem(False, {path.stem: None for path in self._host_files()}, str(self._ca))
            if lost:
                raise StoreError(lost)
            present = _new_ca(self.folder)
            self._write(self._ca, present)
            self.changes.append("the CA of the deployment")
        problems = ca_problems(inspect(present), _now())
        if problems:
            raise StoreError(f"{self._ca}: {'; '.join(problems)}. playbooks/rotate_tls.yml makes another CA")
        trusted = [present, *(text for text in (self._read(self._next), self._read(self._previous)) if text)]
        return present, "".join(certificates_in(text)[0] for text in trusted)

    def _ready(self, request: HostRequest) -> dict[str, str]:
        certificate = _given("redis_tls_certificate_file", request.certificate_file)
        key = _given("redis_tls_key_file", request.key_file, key=True)
        ca = _given("redis_tls_ca_file", request.ca_file)
        _refuse("redis_tls_ca_file", request.ca_file, ca_problems(_inspected("redis_tls_ca_file", request.ca_file, ca), _now()))
        _inspected("redis_tls_certificate_file", request.certificate_file, certificate)
        pem = key_in(key) + "".join(certificates_in(certificate))
        found = _inspected("redis_tls_certificate_file", request.certificate_file, pem, ca)
        _refuse("redis_tls_certificate_file", request.certificate_file, ready_problems(found, request.announced, _now()))
        return {"pem": pem, "ca": "".join(certificates_in(ca)), "fingerprint": fingerprint(pem), "issued": ""}

    def _host_file(self, host: str) -> Path:
        return self.folder / "hosts" / f"{host}.pem"

    def _host_files(self) -> Iterator[Path]:
        yield from sorted((self.folder / "hosts").glob("*.pem"))

    def _read(self, path: Path) -> Optional[str]:
        if path in self._unwritten:
            return self._unwritten[path]
        if not path.exists():
            return None
        _refuse_readable("the file", str(path))
        return _given("the file", str(path))

    def _write(self, path: Path, text: str) -> None:
        if self._check:
            self._unwritten[path] = text
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            make_private_folder(path.parent)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror}): certificates are kept by the user who runs Ansible") from None


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _new_ca(folder: Path) -> str:
    return make_ca(f"keyfleet CA of {folder.parent.name}, {_now():%Y-%m-%d %H:%M:%S}", CA_DAYS)


def _given(variable: str, path: str, *, key: bool = False) -> str:
    """Return the text of a file that a variable names."""
    if not path:
        raise StoreError(f"{variable} is not set: name a file of the controller")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StoreError(f"{variable} is {path!r}: it holds bytes that are no text, and PEM is asked for") from None
    except OSError as error:
        raise StoreError(f"{variable} is {path!r}, which cannot be read: {error.strerror}") from None
    if key:
        _refuse_readable(variable, path)
        if not has_key(text):
            raise StoreError(f"{variable} is {path!r}: it holds no private key in PEM form")
    return text


def _refuse_readable(variable: str, path: str) -> None:
    """Refuse a key that others than its owner can read."""
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError as error:
        raise StoreError(f"{variable} is {path!r}, which cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise StoreError(f"{variable} is {path!r}, a key that others can read (mode {mode:04o}): set its mode to 0600")


def _inspected(variable: str, path: str, text: str, ca: str = "") -> Any:
    try:
        return inspect(text, ca)
    except PemError as error:
        raise StoreError(f"{variable} is {path!r}: {error}") from None


def _refuse(variable: str, path: str, problems: Sequence[str]) -> None:
    if problems:
        raise StoreError(*(f"{variable} is {path!r}: {problem}" for problem in problems))
