# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The connection options of every module: argument spec, options to Settings, errors to ``fail_json``.

The doc fragment ``keyfleet.redis.connection`` describes the same options.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Callable, NoReturn, Optional, TypeVar

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .keyfleet.connect.client import close, connect
from .keyfleet.connect.environment import ADDRESS_VARIABLES
from .keyfleet.connect.redis_py import HAS_REDIS, REDIS_IMPORT_ERROR, translated
from .keyfleet.connect.settings import Settings
from .keyfleet.errors import KeyfleetError

T = TypeVar("T")

FIELD_OF_OPTION = {
    "login_host": "host",
    "login_port": "port",
    "login_unix_socket": "unix_socket",
    "login_user": "username",
    "login_password": "password",
    "db": "db",
    "tls": "tls",
    "ca_certs": "tls_ca_file",
    "validate_certs": "tls_verify",
    "tls_server_name": "tls_server_name",
    "client_cert_file": "tls_cert_file",
    "client_key_file": "tls_key_file",
    "startup_nodes": "cluster_nodes",
    "sentinels": "sentinels",
    "service_name": "sentinel_service",
    "sentinel_user": "sentinel_username",
    "sentinel_password": "sentinel_password",
    "timeout_seconds": "timeout_seconds",
}
ADDRESS_OPTIONS = ("url", "login_host", "login_port", "login_unix_socket", "startup_nodes", "sentinels")
DEFAULT_TIMEOUT_SECONDS = 5.0  # a playbook can wait longer than an application
CONNECTION_CONSTRAINTS: dict[str, Any] = {
    "mutually_exclusive": [
        ("url", "login_host", "login_unix_socket", "startup_nodes", "sentinels"),
        ("login_port", "url"),
        ("login_port", "login_unix_socket"),
        ("login_port", "startup_nodes"),
        ("login_port", "sentinels"),
    ],
    "required_together": [("sentinels", "service_name")],
    "required_by": {"client_key_file": "client_cert_file"},
}


def connection_argument_spec() -> dict[str, dict[str, Any]]:
    """Return a new argument spec of the connection options; no option has a default here, so that given options are distinguishable."""
    return {
        "url": {"type": "str", "no_log": True},
        "login_host": {"type": "str"},
        "login_port": {"type": "int"},
        "login_unix_socket": {"type": "path"},
        "db": {"type": "int"},
        "startup_nodes": {"type": "list", "elements": "str"},
        "sentinels": {"type": "list", "elements": "str"},
        "service_name": {"type": "str"},
        "sentinel_user": {"type": "str"},
        "sentinel_password": {"type": "str", "no_log": True},
        **credentials_argument_spec(),
    }


def credentials_argument_spec() -> dict[str, dict[str, Any]]:
    """Return those of the connection options that say how to talk to a server, and not which one."""
    return {
        "login_user": {"type": "str"},
        "login_password": {"type": "str", "no_log": True},
        "tls": {"type": "bool"},
        "ca_certs": {"type": "path"},
        "validate_certs": {"type": "bool"},
        "tls_server_name": {"type": "str"},
        "client_cert_file": {"type": "path"},
        "client_key_file": {"type": "path", "no_log": False},
        "timeout_seconds": {"type": "float"},
    }


def settings_from_params(params: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Settings:
    """
    Return the settings that the options, or else the environment, state.

    An option that names a server sets the environment aside. Without one, each option replaces its variable, and a server that nothing
    names is 127.0.0.1.

    Args:
        params: Parameters of the module; None, an empty text and an empty list count as not given.
        environ: Variables to read instead of the process's environment.
    Raises:
        SettingsError: naming each option or variable that is wrong or contradicts another.
    """
    given = {name: value for name, value in params.items() if value is not None and value not in ("", [])}
    values = {field: given[option] for option, field in FIELD_OF_OPTION.items() if option in given}
    if any(option in given for option in ADDRESS_OPTIONS):
        values = {"timeout_seconds": DEFAULT_TIMEOUT_SECONDS, **values}
    else:
        values = {**_stated_by(os.environ if environ is None else environ), **values}
    if "url" in given:
        return Settings.from_url(given["url"], **values)
    return Settings.from_mapping(values, {field: option for option, field in FIELD_OF_OPTION.items()})


def _stated_by(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that the environment, or else the default of modules, sets to something else than the default of Settings."""
    variables = {name: value for name, value in environ.items() if value.strip()}
    variables.setdefault("REDIS_TIMEOUT_SECONDS", str(DEFAULT_TIMEOUT_SECONDS))
    if not any(name in variables for name in ADDRESS_VARIABLES):
        variables["REDIS_HOST"] = "127.0.0.1"
    settings = Settings.from_env(variables)
    return {field.name: getattr(settings, field.name) for field in fields(settings) if getattr(settings, field.name) != field.default}


def run(module: AnsibleModule, work: Callable[[Any, Settings], T]) -> T:
    """
    Open the connection, do the work, close it; any error of the library ends the module with its fields.

    Args:
        module: Supplies the options, and receives the password to mask it in all output.
        work: Gets the redis-py client and the settings.
    Returns:
        What *work* returned.
    """
    try:
        settings = read_settings(module, module.params)
        client = connect(settings)
        try:
            with translated(settings):
                return work(client, settings)
        finally:
            close(client)
    except KeyfleetError as error:
        fail(module, error)


def read_settings(module: AnsibleModule, params: Mapping[str, Any]) -> Settings:
    """
    Return the settings that *params* or the environment state; the module passes warnings on and masks passwords in all output.

    Raises:
        SettingsError: as `settings_from_params` does.
    """
    if not HAS_REDIS:
        module.fail_json(msg=missing_required_lib("redis >= 4.3"), exception=REDIS_IMPORT_ERROR)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settings = settings_from_params(params)
    for warning in caught:
        module.warn(str(warning.message))
    module.no_log_values.update(filter(None, (settings.password, settings.sentinel_password)))
    return settings


def fail(module: AnsibleModule, error: KeyfleetError, **result: Any) -> NoReturn:
    """
    End the module with the text of *error* as ``msg``, its class as ``error``, its attributes as further fields.

    Args:
        result: More to return; wins over the attributes.
    """
    module.fail_json(**{**vars(error), "msg": str(error), "error": type(error).__name__, **result})
    raise AssertionError("fail_json returned")
