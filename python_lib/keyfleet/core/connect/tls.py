# SPDX-License-Identifier: MIT
"""Certificates: whether the files of the settings hold what they should, and what a failed handshake says about them."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Optional

from ..errors import SettingsError

if TYPE_CHECKING:
    from .settings import Settings

# Alerts by which a server says that it does not accept the client's certificate, or wants one.
ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")


def check_files(settings: Settings) -> None:
    """
    Refuse certificate files that cannot be read or used; redis-py reports them as a failed connection, and tries it again.

    Raises:
        SettingsError: naming every such file.
    """
    problems = []
    for name in ("tls_ca_file", "tls_cert_file", "tls_key_file"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            problems.append(f"{name} is {path!r}, which is not a readable file")
    if settings.tls and not problems:
        load_files(settings, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    if problems:
        raise SettingsError(*problems)


def load_files(settings: Settings, context: ssl.SSLContext) -> None:
    """
    Let *context* trust and show the certificates of the settings.

    Raises:
        SettingsError: if a file holds no certificate, or the key does not belong to it.
    """
    if settings.tls_ca_file:
        try:
            context.load_verify_locations(cafile=settings.tls_ca_file)
        except (OSError, ValueError) as error:
            problem = f"tls_ca_file is {settings.tls_ca_file!r}, which holds no CA certificate in PEM form"
            raise SettingsError(f"{problem}: {_reason(error)}") from error
    if settings.tls_cert_file:
        try:
            # the password of a key would be asked for at the terminal
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password=bytes)
        except (OSError, ValueError) as error:
            key = f" with the key {settings.tls_key_file!r}" if settings.tls_key_file else ""
            problem = f"tls_cert_file is {settings.tls_cert_file!r}, which cannot be used{key}"
            raise SettingsError(f"{problem}: {_reason(error)}") from error


def make_context(settings: Settings) -> ssl.SSLContext:
    """Return the context for connections of these settings; making one costs as much as 40 connections, so it is to be shared."""
    context = ssl.create_default_context()
    if not settings.tls_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    load_files(settings, context)
    return context


def certificate_problem(error: Optional[BaseException]) -> Optional[str]:
    """Return what a failed attempt to connect says about a certificate; None if that is not why it failed."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate is not accepted: {error.verify_message or error.reason}"
        if isinstance(error, ssl.SSLError) and "ALERT" in str(error.reason) and any(word in str(error.reason) for word in ALERTS):
            return f"the server does not accept the client's certificate: {error.reason.lower().replace('_', ' ')}"
        error = error.__cause__ or error.__context__
    return None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).lower().replace("_", " ")
