# SPDX-License-Identifier: MIT
"""The REDIS_ variables of the environment into fields of Settings; reading a password file is the only IO here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..errors import SettingsError
from .url import check_lonely_user, stated_by_url
from .values import CONVERTERS, UNKNOWN, ConversionError, Given, Stated, read_secret

ENVIRONMENT = {
    "REDIS_HOST": "host",
    "REDIS_PORT": "port",
    "REDIS_USERNAME": "username",
    "REDIS_PASSWORD": "password",
    "REDIS_DB": "db",
    "REDIS_TLS_ENABLED": "tls",
    "REDIS_TLS_CA_FILE": "tls_ca_file",
    "REDIS_TLS_VERIFY": "tls_verify",
    "REDIS_TLS_SERVER_NAME": "tls_server_name",
    "REDIS_TLS_CERT_FILE": "tls_cert_file",
    "REDIS_TLS_KEY_FILE": "tls_key_file",
    "REDIS_CLUSTER_NODES": "cluster_nodes",
    "REDIS_SENTINELS": "sentinels",
    "REDIS_SENTINEL_SERVICE": "sentinel_service",
    "REDIS_SENTINEL_USERNAME": "sentinel_username",
    "REDIS_SENTINEL_PASSWORD": "sentinel_password",
    "REDIS_KEY_PREFIX": "key_prefix",
    "REDIS_RETRY_ATTEMPTS": "retry_attempts",
    "REDIS_RETRY_DELAY": "retry_delay_ms",
    "REDIS_TIMEOUT_SECONDS": "timeout_seconds",
    "REDIS_ENVIRONMENT": "environment",
}
PASSWORD_FILES = {"REDIS_PASSWORD_FILE": "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD_FILE": "REDIS_SENTINEL_PASSWORD"}
VARIABLES = ("REDIS_URL", *ENVIRONMENT, *PASSWORD_FILES)
ADDRESS_VARIABLES = ("REDIS_URL", "REDIS_HOST", "REDIS_CLUSTER_NODES", "REDIS_SENTINELS")

# A profile that keyfleet wrote says its name in a variable of its own, so that two in one environment are both seen.
PROFILE = re.compile("REDIS_PROFILE_[0-9A-F]{8}")
# Kubernetes sets REDIS_PORT to this in every pod beside a Service that is called redis; the user did not.
SERVICE_LINK = re.compile(r"tcp://[0-9a-fA-F.:\[\]]+:[0-9]+")
# How alike two names are without REDIS_, 0 to 1: for REDIS_USER, REDIS_PASS and REDIS_URI enough, for REDIS_POOL and REDIS_TTL not.
ALIKE = 0.63
# Names of other programs that are too different for that.
OTHER_NAMES = {
    **dict.fromkeys(("REDIS_TLS", "REDIS_SSL", "REDIS_USE_TLS", "REDIS_USE_SSL", "REDIS_SSL_ENABLED"), "REDIS_TLS_ENABLED"),
    **dict.fromkeys(("REDIS_SSL_CA_CERTS", "REDIS_SSL_CA_FILE", "REDIS_CA_CERT"), "REDIS_TLS_CA_FILE"),
    **dict.fromkeys(("REDIS_SSL_SERVER_NAME", "REDIS_TLS_SNI", "REDIS_SNI"), "REDIS_TLS_SERVER_NAME"),
    **dict.fromkeys(("REDIS_CLUSTER", "REDIS_NODES"), "REDIS_CLUSTER_NODES"),
}


def stated_by_environment(environ: Mapping[str, str], problems: list[str]) -> Given:
    """
    Return the fields that the variables state, and add to *problems* what is missing, broken or said twice in different ways.

    An empty variable counts as not set. After two profiles nothing else is checked, since each variable may be of either.
    """
    variables = _set_variables(environ)
    given: Given = {}
    profiles = sorted({value for name, value in variables.items() if PROFILE.fullmatch(name)})
    if len(profiles) > 1:
        problems.append(
            f"the connection profiles {' and '.join(profiles)} are both in the environment, and their variables mix: "
            "read one of them in a new shell, or unset all REDIS_ variables before the second one"
        )
        return given
    if not any(name in variables for name in ADDRESS_VARIABLES):
        problems.append(f"REDIS_URL is not defined; set one of {', '.join(ADDRESS_VARIABLES)}")
    if "REDIS_URL" in variables:
        given.update(stated_by_url("REDIS_URL", variables["REDIS_URL"], problems))
    for variable, name in ENVIRONMENT.items():
        if variable in variables:
            _add(given, name, Stated(variable, variables[variable]), problems)
    for variable, rival in PASSWORD_FILES.items():
        if variable in variables and rival in variables:
            problems.append(f"{rival} and {variable} are both set; keep one")
        elif variable in variables:
            path = variables[variable].strip()
            given[f"{ENVIRONMENT[rival]}_file"] = Stated(variable, path)
            _add(given, ENVIRONMENT[rival], Stated(variable, _read_password(variable, path, problems)), problems)
    check_lonely_user(given, "REDIS_URL", problems)
    return given


def misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each REDIS_ variable that keyfleet does not know and that resembles one that is not set."""
    variables = _set_variables(environ)
    is_encrypted = re.match(r"\s*(?:rediss|valkeys)[:+]", variables.get("REDIS_URL", ""), re.IGNORECASE)
    for name in variables:
        if name.startswith("REDIS_") and name not in VARIABLES and not PROFILE.fullmatch(name):
            meant = OTHER_NAMES.get(name) or _most_alike(name)
            if meant and meant not in variables and not (meant == "REDIS_TLS_ENABLED" and is_encrypted):
                yield f"{name} is set and means nothing here; was {meant} meant?"


def _most_alike(name: str) -> Optional[str]:
    import difflib  # slow to load, and hardly ever needed

    ours = {known.removeprefix("REDIS_"): known for known in VARIABLES}
    found = difflib.get_close_matches(name.removeprefix("REDIS_"), ours, n=1, cutoff=ALIKE)
    return ours[found[0]] if found else None


def _set_variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if value.strip() and not (name == "REDIS_PORT" and SERVICE_LINK.fullmatch(value.strip()))
    }


def _add(given: Given, name: str, stated: Stated, problems: list[str]) -> None:
    """Note what was stated about the field *name*, and a problem if another variable states something else."""
    before = given.get(name)
    if before and UNKNOWN not in (before.value, stated.value) and not _agree(name, before.value, stated.value):
        problems.append(f"{before.shown} and {stated.shown} contradict each other; remove {stated.shown} or make them agree")
    given[name] = stated


def _agree(name: str, one: Any, other: Any) -> bool:
    """Return whether two values mean the same; the order of nodes means nothing."""
    try:
        found, wanted = CONVERTERS[name](one), CONVERTERS[name](other)
    except ConversionError:
        return False
    return set(found) == set(wanted) if isinstance(found, tuple) else bool(found == wanted)


def _read_password(variable: str, path: str, problems: list[str]) -> Any:
    """Return the secret that the file holds, or that it is unknown."""
    try:
        return read_secret(f"{variable} is {path!r}", path)
    except SettingsError as error:
        problems += error.problems
        return UNKNOWN
