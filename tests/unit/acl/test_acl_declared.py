# SPDX-License-Identifier: MIT
"""Users of the inventory: what is refused, and the rules that the others become."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.acl.declared import declared_user, user_problems, without_passwords
from keyfleet.core.acl.model import digest

APP = {"name": "app", "passwords": ["correct horse"]}
REFUSED: list[tuple[Any, str]] = [
    ("app", " is of another kind: give a list"),
    (["app"], "[0].name is None"),
    ([{"name": "a b"}], "[0].name is 'a b'"),
    ([{**APP, "name": "keyfleet"}], "[keyfleet] is the user that keyfleet itself is"),
    ([{**APP, "on": True}], "[app].on is not an option: use name, enabled,"),
    ([APP, APP], "[app] is there twice"),
    ([{"name": "app"}], "[app] is enabled and has no password"),
    ([{**APP, "enabled": "on"}], "[app].enabled is 'on': give true or false"),
    ([{**APP, "nopass": True}], "[app].nopass is true, with which passwords would have no effect"),
    ([{"name": "app", "passwords": "text"}], "[app].passwords is of another kind"),
    ([{"name": "app", "password_hashes": ["ABC"]}], "[app].password_hashes has one that is no SHA-256"),
    ([{"name": "default", "passwords": ["correct horse"]}], "[default].passwords is not for the user default"),
    ([{"name": "default", "enabled": False}], "[default].enabled is false, and no other user is enabled"),
    ([{**APP, "commands": ["get set"]}], "[app].commands has 'get set'"),
    ([{**APP, "categories": ["@read"]}], "[app].categories has '@read'"),
    ([{**APP, "keys": ["a b"]}], "[app].keys has 'a b'"),
    ([{**APP, "channels": "news"}], "[app].channels is 'news': give a list of texts"),
    ([{**APP, "selectors": [{"name": "x"}]}], "[app].selectors[0].name is not an option"),
    ([{**APP, "selectors": [{"keys": ['"x"']}]}], "[app].selectors[0] has the pattern '\"x\"'"),
]


@pytest.mark.parametrize(("listed", "words"), REFUSED)
def test_what_cannot_be_is_named(listed: Any, words: str) -> None:
    """The user, the option, the value found and what to write instead; no password."""
    (problem, *others) = user_problems(listed)
    assert problem.startswith(words)
    assert "horse" not in "".join([problem, *others])


def test_what_is_possible_passes() -> None:
    """Users without a password that are off or say so, ``default`` limited, and ``default`` off beside another."""
    assert [] == user_problems([{"name": "off", "enabled": False}, {"name": "open", "nopass": True}])
    assert [] == user_problems([{"name": "default", "commands": ["ping"]}])
    assert [] == user_problems([{"name": "default", "enabled": False}, APP])


def test_rules_say_what_options_do() -> None:
    """Categories come before commands; what is read and written is one pattern; ``*`` is all."""
    options = {
        **APP,
        "categories": ["read", "-dangerous"],
        "commands": ["set", "-keys", "select|0"],
        "keys": ["b"],
        "keys_read": ["a", "b"],
    }
    more = {"keys_write": ["c"], "channels": ["*", "news"], "selectors": [{"commands": ["get"], "keys": ["*", "x"]}]}
    rules = "%R~a ~b %W~c resetchannels &* -@all +@read -@dangerous +set -keys +select|0 (~* resetchannels -@all +get)"
    assert f"user app on #{digest('correct horse')} {rules}" == declared_user({**options, **more}).line()


def test_hosts_get_hashes_only() -> None:
    """A declared user says the same with hashes in the place of its passwords."""
    hidden = without_passwords(APP)
    assert ({"name": "app", "password_hashes": [digest("correct horse")]}, declared_user(APP)) == (hidden, declared_user(hidden))
