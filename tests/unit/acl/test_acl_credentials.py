# SPDX-License-Identifier: MIT
"""What Amazon ElastiCache takes as a password, and of users."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.acl.credentials import credential_problems, password_problem

LONG = "correct-horse-16"
TOKEN = string.ascii_letters + string.digits + "!&#$^<>-"
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in ',"/@')


@given(password=st.text(TOKEN, min_size=16, max_size=128))
def test_tokens_pass(password: str) -> None:
    """Letters, digits and the listed signs, for ``default`` and for others."""
    assert ("", "") == (password_problem(password, "elasticache", of_default=True), password_problem(password, "elasticache"))


@given(password=st.text(PRINTABLE, min_size=16, max_size=128), sign=st.sampled_from(',"/@ \u00e9\n'))
def test_other_signs_are_refused(password: str, sign: str) -> None:
    """Of any user what is not printable or not taken; of ``default`` what is no sign of a token as well; the password is not shown."""
    problems = [password_problem(password[:-1] + sign, "elasticache", of_default=of_default) for of_default in (True, False)]
    assert all(problem and password not in problem for problem in problems)
    assert "" == password_problem(password, "elasticache")


@pytest.mark.parametrize(("length", "words"), [(15, "has 15 characters"), (129, "has 129 characters")])
def test_lengths_are_held(length: int, words: str) -> None:
    """From 16 to 128; the server itself takes any."""
    assert password_problem("x" * length, "elasticache").startswith(words)
    assert "" == password_problem("x" * length, "server")


def test_users_are_counted() -> None:
    """Two passwords of a user, no hash that cannot be judged, 100 users."""
    three = {"name": "app", "passwords": [f"{LONG}{number}" for number in range(3)]}
    hashed = {"name": "ops", "password_hashes": ["0" * 64]}
    many = [{"name": f"u{number}", "passwords": [LONG]} for number in range(101)]
    found = [list(credential_problems(users, "elasticache")) for users in ([three], [hashed], many)]
    assert [["[app].passwords has 3: elasticache takes 2"], [" has 101 users: elasticache takes 100 in a group"]] == [found[0], found[2]]
    assert found[1][0].startswith("[ops].password_hashes cannot be held against")
    assert [] == list(credential_problems([three, hashed, *many], "server"))
