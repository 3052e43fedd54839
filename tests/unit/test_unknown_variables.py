# SPDX-License-Identifier: MIT
"""A mistyped variable is refused with the nearest name, since its value would be ignored without a word."""

from __future__ import annotations

import pytest
from ansible_collections.keyfleet.redis.plugins.filter.variables import known_variables, unknown_variables
from hypothesis import given
from hypothesis import strategies as st

KNOWN = sorted(name for names in known_variables().values() for name in names)


def test_every_variable_of_every_role_is_known() -> None:
    """And so are variables of others, internal ones included."""
    assert "redis_server_instances" in KNOWN
    assert [] == unknown_variables(
        [*KNOWN, "redis_url", "ansible_host", "__redis_server_plan", "redis_servers", "redis_deployment", "redis_topology"]
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("redis_server_instnaces", "redis_server_instances"),
        ("redis_server_pasword", "redis_server_password"),
        ("redis_server_directive", "redis_server_directives"),
        ("redis_host_somaxcon", "redis_host_somaxconn"),
        ("redis_endpoint_form", "redis_endpoint_forms"),
        ("redis_deploymnet", "redis_deployment"),
        ("redis_deployments", "redis_deployment"),
        ("redis_topolgy", "redis_topology"),
    ],
)
def test_the_nearest_name_is_offered(name: str, meant: str) -> None:
    """One sentence with both names."""
    (problem,) = unknown_variables([name])
    assert problem.startswith(f"{name} is no variable of ")
    assert f"did you mean {meant}?" in problem


@given(st.sampled_from(KNOWN), st.data())
def test_one_wrong_letter_is_always_found(name: str, data: st.DataObject) -> None:
    """Wherever it is behind the prefix, unless another variable has that name."""
    role = next(role for role in known_variables() if name.startswith(f"{role}_"))
    place = data.draw(st.integers(len(role) + 1, len(name)))
    mistyped = name[:place] + data.draw(st.sampled_from("abcxyz_")) + name[place:]
    assert (mistyped not in KNOWN) == bool(unknown_variables([mistyped]))
