# SPDX-License-Identifier: MIT
"""The rules for AUTH tokens and passwords of users: bad input is refused with the rule, and never shown."""

from __future__ import annotations

import pytest
from ansible_collections.keyfleet.redis.plugins.module_utils.keyfleet.managed.auth_token import password_problem, token_problem


@pytest.mark.parametrize("token", ["This-is-a-sample-token", "a" * 16, "Z9!&#$^<>-" * 12])
def test_good_tokens(token: str) -> None:
    """Letters, digits and eight marks, 16 to 128 of them."""
    assert ("", "") == (token_problem(token), password_problem(token))


@pytest.mark.parametrize("mark", [*'@"/,%*()_=+;: \t\n', "é", "\x7f"])
def test_characters_that_tokens_must_not_hold(mark: str) -> None:
    """The narrower of the documented rules."""
    token = f"This-is-a-sample{mark}token"
    assert "not allowed; allowed are letters, digits" in token_problem(token)
    assert "sample" not in token_problem(token)


@pytest.mark.parametrize("mark", [*',"/@ \t\n', "é"])
def test_characters_that_passwords_must_not_hold(mark: str) -> None:
    """Users may have more marks than tokens."""
    assert "not allowed" in password_problem(f"This-is-a-sample{mark}token")
    assert "" == password_problem("This_is*a%sample+token")


@pytest.mark.parametrize("length", [0, 15, 129])
def test_lengths(length: int) -> None:
    """16 to 128 characters."""
    assert f"it has {length} characters; allowed are 16 to 128" == token_problem("a" * length) == password_problem("a" * length)
