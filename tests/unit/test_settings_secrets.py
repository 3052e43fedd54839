# SPDX-License-Identifier: MIT
"""The password shows up in no repr, no error and no traceback."""

from __future__ import annotations

import dataclasses
import pickle
import traceback
from pathlib import Path

import pytest
from keyfleet.core.errors import SettingsError
from keyfleet.core.settings import Settings

SECRET = "hunter2-s3cret"


def test_repr_and_address_have_no_password() -> None:
    """Printing settings is safe."""
    settings = Settings(username="app", password=SECRET)
    assert SECRET not in repr(settings) + str(settings) + settings.address + format(settings)
    assert "username='app'" in repr(settings)


def test_settings_compare_and_copy_with_the_password() -> None:
    """Hidden is not absent."""
    settings = Settings(password=SECRET)
    assert settings != Settings(password="other")
    assert SECRET == dataclasses.replace(settings, db=1).password
    assert settings == pickle.loads(pickle.dumps(settings))  # noqa: S301


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": f"redis://:{SECRET}@a", "REDIS_PASSWORD": "other"},
        {"REDIS_URL": "redis://:other@a", "REDIS_PASSWORD": SECRET},
        {"REDIS_HOST": "a b", "REDIS_PASSWORD": SECRET},
        {"REDIS_PASSWORD": SECRET},
        {"REDIS_URL": f"redis://:{SECRET}/@a", "REDIS_HOST": "b", "REDIS_PORT": "x"},
        {"REDIS_URL": f"redis://{SECRET}@a"},
        {"REDIS_URL": f"{SECRET}"},
        {"REDIS_HOST": "a", "REDIS_PASSWORD": SECRET, "REDIS_PASSWORD_FILE": "/x"},
    ],
)
def test_errors_have_no_password(environ: dict[str, str]) -> None:
    """Text, repr and traceback of the error are safe, so is what led to it."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert SECRET not in shown
    assert caught.value.__context__ is None


def test_a_password_of_the_wrong_type_is_not_quoted() -> None:
    """Other values are quoted in errors, this one never."""
    with pytest.raises(SettingsError, match="^password is not usable; allowed: a text$"):
        Settings.from_mapping({"password": 271828})


def test_a_password_from_a_file_is_hidden_too(tmp_path: Path) -> None:
    """Where it came from makes no difference."""
    file = tmp_path / "password"
    file.write_text(SECRET, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"REDIS_URL": "redis://:other@a", "REDIS_PASSWORD_FILE": str(file)})
    assert (
        "REDIS_URL and REDIS_PASSWORD_FILE contradict each other; remove REDIS_PASSWORD_FILE or make them agree",
    ) == caught.value.problems
