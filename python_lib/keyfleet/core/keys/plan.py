# SPDX-License-Identifier: MIT
"""What one key should be, what it is, and the one command that makes up the difference; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ..errors import RefusedError, WrongTypeError
from .types import TYPES, Command, ValueType, printable

MISSING = "none"  # the server's TYPE of a key that does not exist
LONGEST_TTL_SECONDS = 100 * 365 * 86400
PROBLEMS_SHOWN = 10

WRITE_SCRIPT = """
-- Write one key in one step: readers see the old value or the new one.
-- KEYS[1]: the key. ARGV[1]: the type it must still have. Then for each command: the number of its words, its words without the key.
-- Returns 1; or 0, with nothing touched, if the key has another type by now.
local function each_command(run)
  local i = 2
  while i <= #ARGV do
    local words = tonumber(ARGV[i])
    if not run(ARGV[i + 1], KEYS[1], unpack(ARGV, i + 2, i + words)) then return ARGV[i + 1] end
    i = i + words + 1
  end
end
if redis.call('TYPE', KEYS[1]).ok ~= ARGV[1] then return 0 end
-- A user who lacks one of the commands must not write with the others (Redis 7.0, Valkey 7.2; before, the server lacks the check).
local denied = redis.acl_check_cmd and each_command(redis.acl_check_cmd)
if denied then return redis.error_reply("NOPERM this user has no permissions to run the '" .. string.lower(denied) .. "' command") end
each_command(redis.call)
return 1
"""


@dataclass(frozen=True)
class KeyEntry:
    """
    What one key should be.

    Attributes:
        index: Position in the list that the user gave, from 0.
        key: Full name, prefix included.
        present: Whether the key should exist.
        kind, value: Type and comparable value; *value* is None when only the TTL is managed.
        ttl_ms, tolerance_ms: Desired TTL, and how far it may have run down before it is renewed; in milliseconds.
        persist: The key shall have no TTL.
        only_if: None, ``missing`` or ``exists``.
        replace_type: A key of another type may be replaced.
    """

    index: int
    key: bytes
    present: bool = True
    kind: ValueType = TYPES["string"]
    value: Any = field(default=None, repr=False)
    ttl_ms: Optional[int] = None
    tolerance_ms: int = 0
    persist: bool = False
    only_if: Optional[str] = None
    replace_type: bool = False

    @property
    def name(self) -> str:
        """The key, printable."""
        return printable(self.key)


@dataclass(frozen=True)
class Found:
    """What the server holds: type (``none`` for no key), remaining time in ms (-1: no TTL), comparable value (None if it was not read)."""

    type: str = MISSING
    ttl_ms: int = -1
    value: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class KeyPlan:
    """
    What to do with one key.

    Attributes:
        action: ``created``, ``updated``, ``ttl``, ``deleted`` or ``unchanged``.
        command: The one command that does it. Its reply is empty (0 or none) if the key has changed since it was read.
        found: What the key was.
        after: What it becomes.
    """

    action: str
    found: Found
    after: Found
    command: Command = field(default=(), repr=False)


def parse_entries(raw_entries: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any], key_prefix: str = "") -> list[KeyEntry]:
    """
    Return the entries, checked as a whole before anything is touched.

    Args:
        raw_entries: Mappings with ``key``, ``value``, ``type``, ``state``, ``ttl_seconds``, ``ttl_tolerance_seconds``, ``persist``,
            ``only_if``, ``prefix``, ``replace_type``; None counts as not given.
        defaults: Taken for what an entry does not give. Of ``ttl_seconds`` and ``persist`` an entry that gives one takes neither.
        key_prefix: The prefix where neither says one.
    Raises:
        RefusedError: naming the entries (the first ten) that cannot be.
    """
    entries: list[KeyEntry] = []
    problems: list[str] = []
    seen: dict[bytes, int] = {}
    for index, raw in enumerate(raw_entries):
        try:
            entry = _parse(index, _merged(raw, {"prefix": key_prefix}, defaults))
        except ValueError as error:
            problems.append(f"entry {index} (key {raw.get('key')!r}): {error}")
            continue
        if entry.key in seen:
            problems.append(f"entry {index} (key {raw.get('key')!r}): entry {seen[entry.key]} names the same key")
        seen.setdefault(entry.key, index)
        entries.append(entry)
    if problems:
        more = f"; and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        raise RefusedError("; ".join(problems[:PROBLEMS_SHOWN]) + more)
    return entries


def _merged(raw: Mapping[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *raw* gives over what the layers give, the last of which is the strongest."""
    lifetime = () if raw.get("ttl_seconds") is None and raw.get("persist") is None else ("ttl_seconds", "persist")
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update({name: value for name, value in layer.items() if value is not None and name not in lifetime})
    merged.update({name: value for name, value in raw.items() if value is not None})
    return merged


def _parse(index: int, raw: Mapping[str, Any]) -> KeyEntry:
    """
    Return the entry.

    Raises:
        ValueError: saying what is wrong, without the value.
    """
    key, state, kind = raw.get("key"), raw.get("state", "present"), TYPES[raw.get("type", "string")]
    if not isinstance(key, str) or not key:
        raise ValueError("the key is empty")
    full_key = (raw.get("prefix", "") + key).encode("utf-8", "surrogateescape")
    if state == "absent":
        if raw.get("only_if") == "missing":
            raise ValueError("only_if missing makes no sense with state absent")
        return KeyEntry(index, full_key, present=False)
    value, ttl_seconds, persist = raw.get("value"), raw.get("ttl_seconds"), bool(raw.get("persist"))
    if value is None and ttl_seconds is None and not persist:
        raise ValueError("state present needs a value, ttl_seconds or persist")
    return KeyEntry(
        index,
        full_key,
        kind=kind,
        value=None if value is None else kind.encode(value),
        persist=persist,
        only_if=raw.get("only_if"),
        replace_type=bool(raw.get("replace_type")),
        **_lifetime(ttl_seconds, raw.get("ttl_tolerance_seconds"), persist),
    )


def _lifetime(ttl_seconds: Optional[int], tolerance_seconds: Optional[int], persist: bool) -> dict[str, Any]:
    if tolerance_seconds is not None and tolerance_seconds < 0:
        raise ValueError(f"ttl_tolerance_seconds is {tolerance_seconds}; allowed are 0 and above")
    if ttl_seconds is None:
        return {"ttl_ms": None}
    if persist:
        raise ValueError("ttl_seconds and persist exclude each other")
    if not 1 <= ttl_seconds <= LONGEST_TTL_SECONDS:
        raise ValueError(f"ttl_seconds is {ttl_seconds}; allowed are 1 to {LONGEST_TTL_SECONDS}; persist removes a TTL")
    tolerance_ms = ttl_seconds * 500 if tolerance_seconds is None else tolerance_seconds * 1000
    return {"ttl_ms": ttl_seconds * 1000, "tolerance_ms": tolerance_ms}


def make_plan(entry: KeyEntry, found: Found) -> KeyPlan:
    """
    Return what to do with the key.

    Raises:
        WrongTypeError: if it holds another type and that may not be replaced.
        RefusedError: if the entry cannot be applied to what is there.
    """
    exists = found.type != MISSING
    if not entry.present:
        return KeyPlan("deleted", found, Found(), ("UNLINK", entry.key)) if exists else KeyPlan("unchanged", found, found)
    if entry.only_if == ("missing" if exists else "exists"):
        return KeyPlan("unchanged", found, found)
    if entry.value is None:
        if not exists:
            raise RefusedError(f"key {entry.name!r} does not exist, and there is no value to create it with")
        return _plan_ttl(entry, found)
    if exists and found.type != entry.kind.stored_as:
        if not entry.replace_type:
            raise WrongTypeError(entry.name, entry.kind.stored_as, found.type)
        return _plan_write(entry, found, "updated", None)
    if not exists:
        return _plan_write(entry, found, "created", None)
    if entry.kind.differs(entry.value, found.value):
        return _plan_write(entry, found, "updated", found.value)
    return _plan_ttl(entry, found)


def _plan_ttl(entry: KeyEntry, found: Found) -> KeyPlan:
    """Plan for a key whose value is as desired, or not managed."""
    if entry.persist and found.ttl_ms >= 0:
        return KeyPlan("ttl", found, Found(found.type, -1, found.value), ("PERSIST", entry.key))
    if entry.ttl_ms is not None and not max(0, entry.ttl_ms - entry.tolerance_ms) <= found.ttl_ms <= entry.ttl_ms:
        return KeyPlan("ttl", found, Found(found.type, entry.ttl_ms, found.value), ("PEXPIRE", entry.key, entry.ttl_ms))
    return KeyPlan("unchanged", found, found)


def _plan_write(entry: KeyEntry, found: Found, action: str, before: Any) -> KeyPlan:
    """
    Plan to write the value.

    A TTL that the entry says nothing about stays; only a key of another type takes its TTL with it.

    Args:
        before: The value found, None if the key is new or holds another type.
    """
    keeps_ttl = before is not None and not entry.persist and entry.ttl_ms is None
    ttl_ms = entry.ttl_ms if entry.ttl_ms is not None else found.ttl_ms if keeps_ttl else -1
    after = Found(entry.kind.stored_as, ttl_ms, entry.kind.after(entry.value, before))
    if entry.kind.stored_as == "string":
        options: tuple[Any, ...] = ("PX", entry.ttl_ms) if entry.ttl_ms is not None else ("KEEPTTL",) if keeps_ttl else ()
        options += {"missing": ("NX",), "exists": ("XX",)}.get(entry.only_if or "", ())
        return KeyPlan(action, found, after, ("SET", entry.key, entry.value, *options))
    commands: list[Command] = [("DEL",)] if before is None and found.type != MISSING else []
    commands += entry.kind.changes(entry.value, before)
    if entry.ttl_ms is not None:
        commands.append(("PEXPIRE", entry.ttl_ms))
    elif entry.persist and found.ttl_ms >= 0 and before is not None:
        commands.append(("PERSIST",))
    return KeyPlan(action, found, after, _script(entry.key, found.type, commands))


def _script(key: bytes, type_found: str, commands: Sequence[Command]) -> Command:
    """Return the EVAL that runs the commands on *key* if it still has the type found."""
    words = [word for command in commands for word in (len(command), *command)]
    return ("EVAL", WRITE_SCRIPT, 1, key, type_found, *words)
