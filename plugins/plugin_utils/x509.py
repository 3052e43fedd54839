# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as PEM texts, made and read with the library cryptography; no file is touched, nothing is decided here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .certificate_plan import Certificate

# A clock of another machine that is slow must not refuse what was made now.
SLOW_CLOCKS = timedelta(hours=1)
_KEY = re.compile("-----BEGIN ([A-Z]+ )*PRIVATE KEY-----.+?-----END ([A-Z]+ )*PRIVATE KEY-----", re.DOTALL)


class PemError(Exception):
    """A text that is not the PEM that it should be; the message says what was expected, and holds nothing of the text."""


def make_ca(name: str, days: int) -> str:
    """Return a new CA: key and certificate, in one text."""
    key, subject, now = ec.generate_private_key(ec.SECP256R1()), _subject(name), _now()
    builder = _builder(subject, subject, key, now, now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    return _key_text(key) + _text(builder.sign(key, hashes.SHA256()))


def issue(ca: str, name: str, names: Iterable[str], days: int) -> str:
    """
    Return a new key, a certificate for *names* and the chain up to the CA, in one text: a server takes it for certificate and key.

    Args:
        ca: Key and certificate of the CA, in any order; certificates after its own are its chain.
        name: Of the host, for people.
        days: How long it is valid; never longer than the CA.
    """
    signer, (authority, *_chain) = _key(ca), _certificates(ca)
    key, now = ec.generate_private_key(ec.SECP256R1()), _now()
    until = min(now + timedelta(days=days), authority.not_valid_after_utc)
    builder = _builder(_subject(name), authority.subject, key, now, until)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(one) for one in names]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())  # type: ignore[arg-type]
    builder = builder.add_extension(identifier, critical=False)
    hashed = None if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    leaf = builder.sign(signer, hashed)
    intermediate = [one for one in _certificates(ca) if one.subject != one.issuer]
    return _key_text(key) + _text(leaf) + "".join(_text(one) for one in intermediate)


def inspect(text: str, ca: str = "") -> Certificate:
    """
    Return what the first certificate of a text says.

    Args:
        text: Certificate and chain, and its key if it is to be compared.
        ca: Certificates of which one must have signed it, or the last one of its chain; empty asks for none.
    Raises:
        PemError: if there is no certificate, or a key that cannot be read.
    """
    leaf, *chain = _certificates(text)
    return Certificate(
        names=frozenset(_names(leaf)),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        is_ca=_is_ca(leaf),
        signed_by_ca=not ca or _is_signed(leaf, chain, _certificates(ca)),
        for_server=_is_for(leaf, ExtendedKeyUsageOID.SERVER_AUTH),
        for_client=_is_for(leaf, ExtendedKeyUsageOID.CLIENT_AUTH),
        key_matches=not has_key(text) or _public(_key(text).public_key()) == _public(leaf.public_key()),
    )


def certificates_in(text: str) -> list[str]:
    """Return the certificates of a text, without keys, in one form for each."""
    return [_text(one) for one in _certificates(text)]


def fingerprint(text: str) -> str:
    """Return the SHA-256 digest of the first certificate of a text, in hexadecimal digits."""
    return _certificates(text)[0].fingerprint(hashes.SHA256()).hex()


def has_key(text: str) -> bool:
    """Return whether a text has a private key."""
    return _KEY.search(text) is not None


def key_in(text: str) -> str:
    """
    Return the private key of a text, without its certificates.

    Raises:
        PemError: if it has none.
    """
    found = _KEY.search(text)
    if found is None:
        raise PemError("it holds no private key in PEM form")
    return found.group() + "\n"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, now: datetime, until: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - SLOW_CLOCKS, until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(**given: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificates(text: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise PemError("it holds no certificate in PEM form") from None


def _key(text: str) -> Any:
    try:
        return serialization.load_pem_private_key(key_in(text).encode(), password=None)
    except TypeError:
        raise PemError("its key is encrypted, and a server starts without anyone to give the password: keep it without one") from None
    except ValueError:
        raise PemError("its private key cannot be read") from None


def _key_text(key: Any) -> str:
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return str(encoded.decode())


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *(name.lower() for name in found.get_values_for_type(x509.DNSName)),
        *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
    ]


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _is_for(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    """Return whether a certificate is for a purpose; one that names none is for all."""
    try:
        return purpose in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True


def _is_signed(leaf: x509.Certificate, chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    """Return whether an authority signed the leaf, or the certificate of its chain that signed it, and so on."""
    links = [leaf]
    for _unused in range(len(chain) + 1):
        if any(_signed(links[-1], authority) for authority in authorities):
            return True
        following = next((one for one in chain if one not in links and _signed(links[-1], one)), None)
        if following is None:
            return False
        links.append(following)
    return False


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
