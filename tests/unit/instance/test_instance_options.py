# SPDX-License-Identifier: MIT
"""OPTIONS in instance/model.py is the one table of instance options: argument specs, documentation and fields say the same."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.keyfleet.redis.plugins.doc_fragments.server import ModuleDocFragment
from ansible_collections.keyfleet.redis.plugins.module_utils.server_options import server_argument_spec
from keyfleet.core.instance.model import (
    COMMON_OPTIONS,
    MODULE_OPTIONS,
    ROLE_OPTIONS,
    Instance,
    from_options,
    from_variables,
    module_options,
)

ROLE = Path(__file__).parents[3] / "roles/redis_server"
SPEC = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
DOCUMENTED = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["instances"]["suboptions"]
FACTS = ("type", "choices", "elements", "required")


def facts_of(option: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what two descriptions of an option must share."""
    return {name: option[name] for name in names if name in option}


@pytest.mark.parametrize("name", ROLE_OPTIONS)
def test_the_role_takes_the_option_as_the_table_says(name: str) -> None:
    """Type, choices and elements; the role's spec has no defaults, since null means the common value."""
    assert facts_of(ROLE_OPTIONS[name].module_option(), *FACTS) == facts_of(SPEC["redis_server_instances"]["options"][name], *FACTS)


def test_the_role_takes_no_other_option() -> None:
    """An option that only the spec knew would be dropped without a word."""
    assert set(ROLE_OPTIONS) == set(SPEC["redis_server_instances"]["options"])


@pytest.mark.parametrize("name", COMMON_OPTIONS)
def test_the_common_variable_is_the_same_option(name: str) -> None:
    """``redis_server_NAME`` has the type, choices and default of the option."""
    common = SPEC[f"redis_server_{name}"]
    assert facts_of(ROLE_OPTIONS[name].module_option(), *FACTS, "default") == facts_of(common, *FACTS, "default")


def test_the_modules_document_what_they_take() -> None:
    """ansible-test compares both as well, for the whole module."""
    taken = server_argument_spec()["instances"]["options"]
    assert {name: facts_of(option, *FACTS, "default") for name, option in taken.items()} == {
        name: facts_of(option, *FACTS, "default") for name, option in DOCUMENTED.items()
    }


def test_instances_have_the_options_as_fields() -> None:
    """With the same defaults; ``use`` is empty where nothing was said, and what the host adds is no option."""
    defaults = {field.name: getattr(Instance("a"), field.name) for field in fields(Instance)}
    options = {**{name: option.default for name, option in ROLE_OPTIONS.items()}, "name": "a", "use": "", "topology": "single"}
    added = {
        "starter": "",
        "maxmemory_computed": False,
        "user_rules": (),
        "replication_password": "",
        "tls_pem": "",
        "tls_ca": "",
        "tls_directives": {},
        "peers": {},
    }
    assert {**options, **added} == defaults


def test_modules_get_back_what_the_role_gave() -> None:
    """Through the options of the modules and back, an instance is the same; advice alone needs ``use``."""
    options = {
        "name": "a",
        "state": "absent",
        "purge": True,
        "port": "7000",
        "bind": ["::1"],
        "unix_socket": True,
        "unix_socket_perm": "700",
        "password": "battery-staple",
        "log": "manager",
        "directives": {"hz": 20, "masterauth": "secret", "user": ["app on nopass"]},
        "users": [{"name": "web", "nopass": True, "commands": ["get"]}],
    }
    (instance,) = from_variables({"instances": [options], "topology": "cluster"})
    assert "cluster" == instance.topology
    passed = module_options(instance)
    assert list(MODULE_OPTIONS) == list(passed)
    rules = ["app on nopass", "web on nopass resetchannels -@all +get"]
    assert ({"hz": 20}, {"masterauth": "secret"}, rules) == (passed["directives"], passed["secret_directives"], passed["user_rules"])
    directives = {"hz": 20, "masterauth": "secret"}
    assert replace(instance, directives=directives, users=(), user_rules=tuple(rules)) == from_options(passed)
