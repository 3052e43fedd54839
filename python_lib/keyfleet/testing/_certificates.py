# SPDX-License-Identifier: MIT
"""A CA and a server certificate for one test."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: the CA's certificate, the server's certificate and its key."""

    ca: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, host: str, days: int = 2) -> Certificates:
    """
    Make a CA and a certificate for *host* and ``localhost`` in *folder*; keep those that exist.

    Raises:
        RuntimeError: if the openssl binary is missing or fails.
    """
    files = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    if files.certificate.exists():
        return files
    ca_key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "server.ext"
    extensions.write_text(f"subjectAltName=DNS:localhost,{_alternative_name(host)}\n", encoding="utf-8")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *new_key, "-days", str(days), "-subj", "/CN=test CA", "-keyout", str(ca_key), "-out", str(files.ca))
    _openssl("req", *new_key, "-subj", "/CN=test server", "-keyout", str(files.key), "-out", str(request))
    signing = ["-CA", str(files.ca), "-CAkey", str(ca_key), "-CAcreateserial", "-days", str(days), "-extfile", str(extensions)]
    _openssl("x509", "-req", "-in", str(request), *signing, "-out", str(files.certificate))
    return files


def _alternative_name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


def _openssl(*arguments: str) -> None:
    binary = shutil.which("openssl")
    if binary is None:
        raise RuntimeError("openssl is not installed or not on PATH; a test server with TLS needs it")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
