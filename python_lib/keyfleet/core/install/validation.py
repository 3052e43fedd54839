# SPDX-License-Identifier: MIT
"""What is wrong with the variables that say where the program comes from; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

KEY_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
# The role decides these: where a release goes, TLS always, systemd as the service manager is.
OWN_FLAGS = ("PREFIX", "BUILD_TLS", "USE_SYSTEMD")
FEWEST_RELEASES = 2  # the one in use and the one before it
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[!-~]+")
_FLAG = re.compile(r"([A-Z][A-Z0-9_]*)=[ -~]*")


def install_problems(variables: Mapping[str, Any]) -> Iterator[str]:
    """
    Return what is wrong: variable, value found, values allowed.

    Args:
        variables: ``install_method`` and ``version``; ``repo`` (uri, suite, components, key) and ``archive`` (source, sha256, make_flags,
            keep, jobs), which are checked where the method needs them.
    """
    method, version = variables.get("install_method"), variables.get("version")
    if version and method == "none":
        yield (
            f"redis_server_version is {version!r} and redis_server_install_method is 'none', which installs nothing: "
            "set redis_server_install_method: distro, or leave redis_server_version out"
        )
    if method == "repo":
        yield from _repo_problems(variables["repo"])
    if method == "archive":
        if not _VERSION.fullmatch(str(version)):
            yield f"redis_server_version is {version!r}: with redis_server_install_method 'archive' give that of the source, such as 7.0.15"
        yield from _archive_problems(variables["archive"])


def _repo_problems(repo: Mapping[str, Any]) -> Iterator[str]:
    uri, suite, components, key = (repo[name] for name in ("uri", "suite", "components", "key"))
    yield from _address_problems(
        "redis_server_repo_uri", uri, ("http", "https", "file"), "of apt, such as https://mirror.example.org/redis"
    )
    if not _is_word(suite):
        yield f"redis_server_repo_suite is {suite!r}: give the suite, such as bookworm, or ./ for a flat repository"
    elif not _is_list_of_words(components):
        yield f"redis_server_repo_components is {components!r}: give a list, such as [main]"
    elif suite.endswith("/") == bool(components):
        yield (
            f"redis_server_repo_components is {components!r} and redis_server_repo_suite is {suite!r}: a suite that ends with / has no "
            "components ([]), any other has at least one"
        )
    if key.startswith("/"):
        yield f"redis_server_repo_key is {key!r}, which is no file on the controller: give its path, or the key itself"
    elif not key.strip().startswith(KEY_BEGIN):
        yield (
            f"redis_server_repo_key {'is not given' if not key else 'holds something else'}: give the public key that signs the "
            f"repository, ASCII-armored ({KEY_BEGIN}), or the path of its file on the controller"
        )


def _archive_problems(archive: Mapping[str, Any]) -> Iterator[str]:
    source, checksum, flags = (archive[name] for name in ("source", "sha256", "make_flags"))
    if not source.startswith("/"):
        wanted = "such as https://mirror.example.org/redis-7.0.15.tar.gz, or the path of a file on the controller"
        yield from _address_problems("redis_server_archive_source", source, ("http", "https"), wanted)
    if not _SHA256.fullmatch(checksum):
        yield f"redis_server_archive_sha256 is {checksum!r}: give the SHA-256 of the archive, 64 of 0-9 and a-f, in quotes"
    matches = [_FLAG.fullmatch(flag) if isinstance(flag, str) else None for flag in flags]
    for flag, match in zip(flags, matches):
        if match is None:
            yield f"redis_server_archive_make_flags has {flag!r}: use NAME=VALUE, such as MALLOC=libc"
        elif match[1] in OWN_FLAGS:
            yield f"redis_server_archive_make_flags has {flag!r}: {', '.join(OWN_FLAGS)} are decided by the role"
    for name, least in (("keep", FEWEST_RELEASES), ("jobs", 1)):
        number = str(archive[name])
        if not number.isdigit() or int(number) < least:
            yield f"redis_server_archive_{name} is {number}: use {least} or more"


def _address_problems(name: str, address: str, schemes: Iterable[str], wanted: str) -> Iterator[str]:
    """Return what is wrong with a URI; one with a login is not repeated."""
    try:
        parts = urlsplit(address if _is_word(address) else "")
    except ValueError:  # such as one bracket
        parts = urlsplit("")
    if "@" in parts.netloc:
        yield f"{name} holds a login: it would be shown to everybody; put it into /etc/apt/auth.conf.d or ~/.netrc of the host"
    elif parts.scheme not in schemes or not (parts.netloc or (parts.scheme == "file" and parts.path.startswith("/"))):
        yield f"{name} is {address!r}: give an address ({', '.join(f'{scheme}:' for scheme in schemes)}) {wanted}"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_list_of_words(value: Any) -> bool:
    return isinstance(value, list) and all(_is_word(word) for word in value)
