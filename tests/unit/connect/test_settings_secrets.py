# SPDX-License-Identifier: MIT
"""A password shows up in no repr, no error, no log, no warning and no traceback."""

from __future__ import annotations

import dataclasses
import logging
import pickle
import traceback
import warnings
from pathlib import Path

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import SettingsError

SECRET = "hunter2-s3cret"


def test_repr_and_address_have_no_password() -> None:
    """Printing settings is safe."""
    settings = Settings(
        username="app", password=SECRET, sentinels=(("a", 1),), sentinel_service="s", sentinel_username="w", sentinel_password=SECRET
    )
    assert SECRET not in repr(settings) + str(settings) + settings.address + format(settings) + f"{settings!r:>5}"
    assert "username='app'" in repr(settings)


def test_settings_compare_and_copy_with_the_password() -> None:
    """Hidden is not absent."""
    settings = Settings(password=SECRET)
    assert settings != Settings(password="other")
    assert SECRET == dataclasses.replace(settings, db=1).password
    assert settings == pickle.loads(pickle.dumps(settings))  # noqa: S301


SENTINEL = {"REDIS_SENTINELS": "a", "REDIS_SENTINEL_SERVICE": "s"}
BROKEN = [
    {"REDIS_URL": f"redis://:{SECRET}@a", "REDIS_PASSWORD": "other"},
    {"REDIS_URL": "redis://:other@a", "REDIS_PASSWORD": SECRET},
    {"REDIS_HOST": "a b", "REDIS_PASSWORD": SECRET},
    {"REDIS_PASSWORD": SECRET},
    {"REDIS_URL": f"redis://:{SECRET}/@a", "REDIS_HOST": "b", "REDIS_PORT": "x"},
    {"REDIS_URL": f"redis://{SECRET}@a"},
    {"REDIS_URL": f"{SECRET}"},
    {"REDIS_HOST": "a", "REDIS_PASSWORD": SECRET, "REDIS_PASSWORD_FILE": "/x"},
    {"REDIS_URL": f"redis+cluster://:{SECRET}@a,b:x"},
    {"REDIS_URL": f"redis+sentinel://:{SECRET}@a"},
    {"REDIS_URL": f"redis+sentinel://u:{SECRET}@a/s", "REDIS_PASSWORD": "other"},
    {"REDIS_URL": f"redis+sentinel://a,{SECRET}@/s"},
    {"REDIS_URL": f"rediss://:{SECRET}@a", "REDIS_TLS_ENABLED": "false"},
    {**SENTINEL, "REDIS_SENTINEL_PASSWORD": SECRET, "REDIS_PORT": "x"},
    {**SENTINEL, "REDIS_SENTINEL_PASSWORD": SECRET, "REDIS_SENTINEL_PASSWORD_FILE": "/x"},
    {"REDIS_HOST": "a", "REDIS_SENTINEL_PASSWORD": SECRET},
    {"REDIS_PASSWROD": SECRET},
]


@pytest.mark.parametrize("environ", BROKEN)
@pytest.mark.filterwarnings("ignore::keyfleet.core.connect.settings.SettingsWarning")
def test_errors_have_no_password(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text, pickle, log entry and traceback are safe, with the local variables that error trackers add; so is what led to the error."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    caught = SettingsError()
    try:
        Settings.from_env()
    except SettingsError as error:
        caught = error
        logging.getLogger("app").exception("no settings")
    seen = traceback.TracebackException.from_exception(caught, capture_locals=True)
    # The first frame is this test, whose environ is the user's own.
    own = [f"{frame.name}: {frame.locals}" for frame in seen.stack[1:]]
    assert ["from_env", "_build"] == [frame.name for frame in seen.stack[1:]]
    for shown in (*own, str(caught), repr(caught), caplog.text, *capsys.readouterr(), repr(pickle.dumps(caught))):
        assert SECRET not in shown
    assert caught.problems == pickle.loads(pickle.dumps(caught)).problems  # noqa: S301
    assert caught.__context__ is None
    assert caught.__cause__ is None


def test_warnings_have_no_password() -> None:
    """A misspelt variable is named, and what it holds is not."""
    environ = {"REDIS_URL": f"rediss://:{SECRET}@a", "REDIS_TLS_VERIFY": "false", "REDIS_PASSWROD_FILE": SECRET}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Settings.from_env(environ)
    assert 2 == len(caught)
    assert [] == [warning for warning in caught if SECRET in f"{warning.message!r} {warning.line}"]


@pytest.mark.parametrize("field", ["password", "sentinel_password"])
def test_a_password_of_the_wrong_type_is_not_quoted(field: str) -> None:
    """Other values are quoted in errors, these never."""
    with pytest.raises(SettingsError, match=f"^{field} is not usable; allowed: a text$"):
        Settings.from_mapping({field: 271828, "sentinels": ["a"], "sentinel_service": "s"})


def test_a_password_from_a_file_is_hidden_too(tmp_path: Path) -> None:
    """Where it came from makes no difference."""
    file = tmp_path / "password"
    file.write_text(SECRET, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"REDIS_URL": "redis://:other@a", "REDIS_PASSWORD_FILE": str(file)})
    assert (
        "REDIS_URL and REDIS_PASSWORD_FILE contradict each other; remove REDIS_PASSWORD_FILE or make them agree",
    ) == caught.value.problems
