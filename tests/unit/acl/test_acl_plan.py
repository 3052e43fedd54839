# SPDX-License-Identifier: MIT
"""What changes so that a server has the declared users."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.acl.meaning import Commands, same_user
from keyfleet.core.acl.model import ADMIN, DEFAULT, User, administrator, default_user, users_in
from keyfleet.core.acl.plan import UserPlan, plan_users
from support.users import users

COMMANDS = Commands(frozenset(["get", "set", "config", "config|get", "select"]), {"read": frozenset(["get"]), "write": frozenset(["set"])})
ADMINISTRATOR, OPEN = administrator(["secret of keyfleet"]), default_user("")
APP = User("app", enabled=True, hashes=frozenset("1"), own=OPEN.own)
sets = st.lists(users(st.sampled_from(["app", "ops", "old"])), max_size=3, unique_by=lambda user: user.name)


def planned(declared: list[User], active: list[User], **options: object) -> UserPlan:
    """Return the plan from these users to those."""
    return plan_users([ADMINISTRATOR, OPEN, *declared], {user.name: user for user in active}, COMMANDS, **options)  # type: ignore[arg-type]


@given(declared=sets, active=sets, made=st.sets(st.sampled_from(["app", "ops", "old"])), removes=st.booleans(), keeps=st.booleans())
def test_a_plan_ends_with_what_it_says(declared: list[User], active: list[User], made: set[str], removes: bool, keeps: bool) -> None:
    """Its result is what the file says and what its steps make; a second plan is empty, and the administrative user never changes last."""
    options = {"made": made, "removes_undeclared": removes, "keeps_passwords": keeps}
    plan = planned(declared, active, **options)
    reached = {user.name: user for user in active}
    for user in plan.changed:
        reached[user.name] = user
        assert reached[ADMIN].can_enter  # from the first step on
    for name in plan.removed:
        del reached[name]
    in_file = users_in(plan.file_text.splitlines())
    assert reached.keys() == in_file.keys() == {user.name for user in plan.result}
    assert all(same_user(user, in_file[name], COMMANDS) for name, user in reached.items())
    assert planned(declared, list(reached.values()), **options).is_empty
    assert set(plan.removed) <= ({user.name for user in active} if removes else made)
    assert not (plan.undeclared and set(plan.undeclared) & made)


def test_the_administrative_user_is_first_and_default_last() -> None:
    """In the file and among the steps."""
    plan = planned([APP], [])
    assert [ADMIN, "app", DEFAULT] == [user.name for user in plan.changed] == [user.name for user in plan.result]
    assert ["make the users keyfleet, app, default"] == plan.phrases()


def test_passwords_of_before_stay_until_they_are_dropped() -> None:
    """Two phases: with both, then with the declared one; who had none gets no other, and one that was off gets none back."""
    new = replace(APP, hashes=frozenset("2"))
    first = planned([new], [ADMINISTRATOR, OPEN, APP], keeps_passwords=True)
    assert (("app",), frozenset("12")) == (first.old_passwords, first.changed[0].hashes)
    second = planned([new], list(first.result))
    assert ((), (new,)) == (second.old_passwords, second.changed)
    for former in (replace(APP, nopass=True, hashes=frozenset()), replace(APP, enabled=False)):
        assert (new,) == planned([new], [ADMINISTRATOR, OPEN, former], keeps_passwords=True).changed


def test_a_difference_is_shown_without_hashes() -> None:
    """What a user may do, how many passwords it has, and how many of them are others."""
    new = replace(APP, hashes=frozenset("23"), enabled=True)
    plan = planned([new], [ADMINISTRATOR, OPEN, APP, replace(APP, name="old")], made=["old"])
    rules = "~* resetchannels &* +@all"
    expected = {
        "app": (f"on (1 password) {rules}", f"on (2 passwords) {rules} (hidden): 2 new, 1 dropped"),
        "old": (f"on (1 password) {rules}", None),
    }
    assert expected == plan.differences()
    assert ["change the user app", "remove the user old"] == plan.phrases()


def test_users_of_others_stay_unless_they_shall_go() -> None:
    """A user made by hand is named, and stays in the file; it goes only when that is desired."""
    by_hand = replace(APP, name="by-hand")
    active = [ADMINISTRATOR, OPEN, by_hand]
    kept, removed = planned([], active), planned([], active, removes_undeclared=True)
    assert (("by-hand",), True, True) == (kept.undeclared, kept.is_empty, by_hand in kept.result)
    assert (("by-hand",), ("by-hand",), False) == (removed.undeclared, removed.removed, by_hand in removed.result)
