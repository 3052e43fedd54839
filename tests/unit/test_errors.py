# SPDX-License-Identifier: MIT
"""The tree of errors: what belongs where, what they say, and that they survive a trip between processes."""

from __future__ import annotations

import pickle

import keyfleet
import pytest
from keyfleet.core import errors

EXAMPLES = [
    (errors.SettingsError("a is 1", "b is 2"), "a is 1; b is 2"),
    (errors.RefusedError("not safe"), "not safe"),
    (errors.BuildError("make failed"), "make failed"),
    (errors.DecodeError("k", "JSON"), "key 'k' holds a value that is not JSON"),
    (errors.ServerError("OOM", "h:1"), "h:1: OOM"),
    (errors.ServerError("keys kept changing"), "keys kept changing"),
    (errors.UnreachableError("h:1", "refused"), "cannot reach h:1: refused"),
    (errors.OutcomeUnknown("h:1", "no reply"), "h:1 may or may not have run the command: no reply"),
    (errors.PoolTimeoutError("h:1", "busy"), "no free connection to h:1: busy"),
    (errors.BreakerOpenError("h:1", "down", 0.5), "not trying h:1 for 0.50 s: down"),
    (errors.ClosedError("closed"), "closed"),
    (errors.CredentialsError("h:1", "wrong"), "h:1 refused the credentials: wrong"),
    (errors.DeniedError("config get", "no permission"), "command 'config get' is not available: no permission"),
    (errors.DeniedError("get", "no permission", user="app"), "command 'get' is not available to user 'app': no permission"),
    (errors.DeniedError("", "no permission", "key", user="app"), "a key of the command is denied to user 'app': no permission"),
    (errors.DeniedError("", "no permission"), "the command is not available: no permission"),
    (errors.DeniedError("", "no permission", "key"), "a key of the command is denied to this user: no permission"),
    (errors.DeniedError("", "no permission", "channel", "news"), "the channel 'news' is denied to this user: no permission"),
    (errors.WrongTypeError("k", "hash", "list"), "key 'k' holds a list, not a hash"),
]
IDS = [text for _unused, text in EXAMPLES]


@pytest.mark.parametrize(("error", "text"), EXAMPLES, ids=IDS)
def test_an_error_says_what_happened(error: errors.KeyfleetError, text: str) -> None:
    """The text is a sentence for the user."""
    assert text == str(error)


@pytest.mark.parametrize("error", [error for error, _unused in EXAMPLES], ids=IDS)
def test_an_error_pickles(error: errors.KeyfleetError) -> None:
    """Process pools and Ansible hand errors on; type, text and facts stay."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(error), str(error), vars(error)) == (type(copy), str(copy), vars(copy))


@pytest.mark.parametrize("error", [error for error, _unused in EXAMPLES if isinstance(error, errors.ServerError)], ids=str)
def test_the_reason_is_given_without_the_address(error: errors.ServerError) -> None:
    """A report names the address beside it, once."""
    assert error.reason
    assert "h:1" not in error.reason


def test_every_error_is_in_the_tree_and_in_its_drawing() -> None:
    """One base class; the docstring of the module draws all of them."""
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert [] == [item.__name__ for item in classes if not issubclass(item, errors.KeyfleetError)]
    assert [] == [item.__name__ for item in classes if item.__name__ not in str(errors.__doc__)]
    assert [] == [item.__name__ for item in classes if not item.__name__.endswith(("Error", "Unknown"))]


def test_what_the_client_exports_is_its_part_of_the_drawing() -> None:
    """Errors of roles and builds are raised on hosts only."""
    drawn, of_hosts = str(errors.__doc__).split("Of roles and builds")
    names = [name for name in vars(errors) if name.endswith(("Error", "Unknown"))]
    assert sorted(name for name in names if name in drawn) == sorted(name for name in keyfleet.__all__ if name in names)
    assert ["BuildError", "FilesError", "ServiceError"] == sorted(name for name in names if name in of_hosts and name not in drawn)


def test_trying_again_after_unreachable_doubles_nothing() -> None:
    """What may have run is not caught by it; both are errors of a server."""
    assert not issubclass(errors.OutcomeUnknown, errors.UnreachableError)
    assert issubclass(errors.OutcomeUnknown, errors.ServerError)
    assert all(issubclass(kind, errors.UnreachableError) for kind in (errors.PoolTimeoutError, errors.BreakerOpenError))


@pytest.mark.parametrize("kind", [errors.UnreachableError, errors.CredentialsError, errors.DeniedError, errors.WrongTypeError])
def test_what_a_server_caused_is_a_server_error(kind: type[errors.KeyfleetError]) -> None:
    """A caller can catch all of them with one class."""
    assert issubclass(kind, errors.ServerError)
