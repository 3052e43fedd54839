# SPDX-License-Identifier: MIT
"""Certificates by their digests: in files, and as a server shows them in a handshake; nothing is verified here."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
from typing import Optional

from ..host.safe_paths import read_bytes, status_of
from ..layout import Layout

ASK_TIMEOUT_SECONDS = 5.0
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def digest(text: str) -> str:
    """Return a digest of the certificates of a PEM text, whatever is around them; empty for none."""
    found = _CERTIFICATE.findall(text)
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:32] if found else ""


def leaf_fingerprint(pem: str) -> str:
    """Return the SHA-256 digest of the first certificate of a PEM text; empty if it holds none."""
    found = _CERTIFICATE.search(pem)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group())).hexdigest() if found else ""


def shown_fingerprint(host: str, port: int, pem_file: str = "") -> str:
    """
    Return the SHA-256 digest of the certificate that a server shows in a handshake; empty if there is none.

    Args:
        pem_file: Certificate and key for a server that asks its clients for one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    shown: Optional[bytes] = None
    with contextlib.suppress(OSError, ValueError):
        if pem_file and status_of(pem_file):
            context.load_cert_chain(pem_file)
        with socket.create_connection((host, port), timeout=ASK_TIMEOUT_SECONDS) as plain, context.wrap_socket(plain) as secure:
            shown = secure.getpeercert(binary_form=True)
            secure.sendall(b"QUIT\r\n")  # the server counts a client that leaves in mid-handshake as a rejected one
            secure.recv(1024)
    return hashlib.sha256(shown).hexdigest() if shown else ""


def leaf_of_file(layout: Layout) -> str:
    """Return the digest of the certificate in the file of an instance; empty if there is none."""
    try:
        return leaf_fingerprint(read_bytes(layout.tls_file).decode("ascii", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return ""


def has_files(layout: Layout) -> bool:
    """Return whether an instance has files of TLS."""
    return any(status_of(path) is not None for path in (layout.tls_file, layout.tls_ca_file))
