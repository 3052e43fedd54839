# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a secret kept on the controller, make it, change it, or remove it; runs without a connection."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.controller_files import make_private_folder

# 32 bytes of randomness as 43 characters of A-Z a-z 0-9 -: needs no quoting in a URL, a shell or an env file, and every service takes it.
SECRET_BYTES = 32


def _random() -> str:
    return secrets.token_urlsafe(SECRET_BYTES).replace("_", "-")


def _next_of(path: Path) -> Path:
    """Return the file of the secret that replaces the one in *path*, once everything that uses it has it."""
    return path.with_name(f"{path.name}.next")


def _previous_of(path: Path) -> Path:
    """Return the file of the secret that was in *path* before, for as long as servers accept it."""
    return path.with_name(f"{path.name}.previous")


def _read(path: Path) -> Optional[str]:
    """Return the secret in a file, or None if there is no file."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise AnsibleActionFail(f"{path} holds bytes that are no text: put the secret back") from None
    except OSError as error:
        raise _refusal(path, "read", error) from None
    if not text:
        raise AnsibleActionFail(f"{path} is empty: put the secret back, or remove the file if no server uses it")
    if stat.S_IMODE(mode) & 0o077:
        raise AnsibleActionFail(f"{path} can be read by others: set its mode to 0600")
    return text


def _refusal(path: Path, verb: str, error: OSError) -> AnsibleActionFail:
    return AnsibleActionFail(f"{path} cannot be {verb} ({error.strerror}): the secret is kept in a file of the user who runs Ansible")


def _create(path: Path) -> str:
    """Make the secret; when another process made it meanwhile, theirs counts."""
    secret = _random()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        secret = _read(path) or secret
    finally:
        draft.unlink()
    return secret


def _move(former: Path, path: Path) -> None:
    """
    Give the secret its present place.

    A run that is killed in between leaves both names of one file, and the next one removes the former.
    """
    with suppress(FileExistsError):
        os.link(former, path)
    former.unlink()


class ActionModule(ActionBase):
    """Read the secret in a file of the controller, make it, change it, or remove it."""

    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the task, the secret as ``secret`` (None if there is none)."""
        result = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(
            {
                "path": {"type": "path", "required": True},
                "former_path": {"type": "path"},
                "create": {"type": "bool", "default": True},
                "state": {"type": "str", "choices": ["present", "absent", "changing", "changed", "dropped"], "default": "present"},
                "together": {"type": "list", "elements": "path", "default": []},
            },
        )
        path = Path(options["path"])
        former = Path(options["former_path"]) if options["former_path"] else None
        if options["state"] == "absent":
            places = [place for place in (path, _next_of(path), _previous_of(path), former) if place]
            return {**result, "changed": self._remove(places), "secret": None, "next": None}
        if options["state"] == "changing":
            return {**result, **self._begin_change(path, [Path(place) for place in options["together"]])}
        if options["state"] == "changed":
            return {**result, **self._end_change(path)}
        if options["state"] == "dropped":
            return {**result, "changed": self._drop(path), "secret": _read(path), "next": _read(_next_of(path))}
        secret, old = _read(path), _read(former) if former else None
        if former and old and secret not in (None, old):
            result["warnings"] = [f"{former} holds another secret than {path} and is not used any more: remove it"]
            old = None
        if not options["create"]:
            found = {"secret": secret or old, "misplaced": old is not None, "next": _read(_next_of(path))}
            return {**result, "changed": False, **found, "ending": _previous_of(path).exists()}
        changed = secret is None or old is not None
        if changed and not self._task.check_mode:
            secret = self._keep(path, former if old else None)
        # In check mode, a secret that is never written replaces the one that a run would make.
        return {**result, "changed": changed, "secret": secret or old or _random(), "next": _read(_next_of(path))}

    def _keep(self, path: Path, former: Optional[Path]) -> Optional[str]:
        """Return the secret, which is then in its place: moved there or made."""
        try:
            make_private_folder(path.parent)
            if former is None:
                return _create(path)
            _move(former, path)
        except OSError as error:
            raise _refusal(path, "written", error) from None
        return _read(path)

    def _begin_change(self, path: Path, together: Sequence[Path] = ()) -> dict[str, Any]:
        """Make the next secret, unless an interrupted change made it, or still has to end for this one or those that change with it."""
        secret, following = _read(path), _read(_next_of(path))
        ending = any(_previous_of(place).exists() for place in (path, *together))
        changed = secret is not None and following is None and not ending  # without a secret there is nothing to change
        pending = following is not None or ending
        if changed and not self._task.check_mode:
            try:
                following = _create(_next_of(path))
            except OSError as error:
                raise _refusal(_next_of(path), "written", error) from None
        return {"changed": changed, "secret": secret, "next": following, "pending": pending}

    def _end_change(self, path: Path) -> dict[str, Any]:
        """
        Let the next secret take the place of the present one, in one step.

        The present one is kept as the previous one before, which says until `_drop` that servers may still accept it.
        """
        secret, following = _read(path), _read(_next_of(path))
        if following is not None and not self._task.check_mode:
            try:
                with suppress(FileExistsError):
                    os.link(path, _previous_of(path))
                _next_of(path).replace(path)
            except FileNotFoundError:  # another host of the deployment did it
                pass
            except OSError as error:
                raise _refusal(path, "written", error) from None
        return {"changed": following is not None, "secret": following or secret, "next": None}

    def _drop(self, path: Path) -> bool:
        """Return whether there was a previous secret, or in check mode one that would be previous by now; it is gone then."""
        found = _previous_of(path).exists() or (self._task.check_mode and _next_of(path).exists())
        if found and not self._task.check_mode:
            try:
                _previous_of(path).unlink(missing_ok=True)
            except OSError as error:
                raise _refusal(_previous_of(path), "removed", error) from None
        return found

    def _remove(self, places: list[Path]) -> bool:
        """Return whether there was a secret; it is gone then."""
        try:
            found = [place for place in places if place.exists()]
            for place in found if not self._task.check_mode else ():
                place.unlink(missing_ok=True)
        except OSError as error:
            raise _refusal(places[0], "removed", error) from None
        return bool(found)
