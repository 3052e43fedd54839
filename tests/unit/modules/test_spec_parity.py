# SPDX-License-Identifier: MIT
"""Only defaults/main.yml takes effect; meta/argument_specs.yml repeats it for readers and for validation. They must say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(role: str, file: str) -> dict[str, Any]:
    """Return the content of a YAML file of *role*, an empty dictionary if it has none."""
    path = ROOT / "roles" / role / file
    return yaml.safe_load(path.read_text()) or {} if path.exists() else {}


def spec_options(role: str) -> dict[str, Any]:
    """Return the options that the spec of *role* documents."""
    return load(role, "meta/argument_specs.yml").get("argument_specs", {}).get("main", {}).get("options", {})


def test_there_are_roles() -> None:
    """The parametrized tests below have something to compare."""
    assert "redis_server" in ROLES


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_in_the_spec_with_its_value(role: str) -> None:
    """A variable of defaults/main.yml is documented, and its documented default is the one that takes effect."""
    documented = {name: option.get("default") for name, option in spec_options(role).items()}
    defaults = load(role, "defaults/main.yml")
    assert defaults == {name: documented.get(name, "no such option") for name in defaults}


@pytest.mark.parametrize("role", ROLES)
def test_every_documented_default_takes_effect(role: str) -> None:
    """An option with a default in the spec has it in defaults/main.yml; Ansible never applies the one in the spec."""
    documented = {name: option["default"] for name, option in spec_options(role).items() if "default" in option}
    defaults = load(role, "defaults/main.yml")
    assert documented == {name: defaults.get(name, "not in defaults/main.yml") for name in documented}


@pytest.mark.parametrize("role", ROLES)
def test_public_variables_start_with_the_name_of_the_role(role: str) -> None:
    """No variable of one role can be taken for that of another."""
    names = {*load(role, "defaults/main.yml"), *spec_options(role)}
    assert set() == {name for name in names if not name.startswith(f"{role}_")}


def test_no_role_name_is_a_prefix_of_another() -> None:
    """Variables of different roles never mix."""
    assert [] == [(one, other) for one in ROLES for other in ROLES if one != other and other.startswith(f"{one}_")]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_spec(role: str) -> None:
    """Wrong variables of every role are refused by Ansible itself."""
    assert "main" in load(role, "meta/argument_specs.yml").get("argument_specs", {})
