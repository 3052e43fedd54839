# SPDX-License-Identifier: MIT
"""
Make keys what they should be: read a chunk of them in a pipeline, compute the difference once, write it in a pipeline.

Each key is written by exactly one command, so that no reader ever sees half a value: SET for texts, PEXPIRE, PERSIST, UNLINK, and for
collections a script (key_plan.WRITE_SCRIPT) that first makes sure the key still has the type it was read with. A pipeline of such commands
works on a cluster as it does on a single server, since each names one key. Between reading and writing another client may write: a key that
has appeared, vanished or changed its type is read and planned again; a value changed in that moment is overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, Union

from ..connect.redis_py import ReplyLostError, translate
from ..errors import KeyfleetError, ServerError
from .plan import MISSING, Found, KeyEntry, KeyPlan, make_plan
from .types import TYPES, ValueType, printable

try:
    import redis
    from redis.exceptions import RedisError
except ImportError:
    RedisError = Exception  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from ..connect.settings import Settings

ACTIONS = ("created", "updated", "ttl", "deleted", "unchanged", "failed", "unknown")
CHUNK_ENTRIES = 500
CHUNK_BYTES = 4 * 1024 * 1024
ATTEMPTS = 3
DETAILS = 100
FAILURES_IN_MESSAGE = 5
LONGEST_VALUE_IN_DIFF = 16 * 1024


@dataclass(frozen=True)
class KeyOutcome:
    """
    What happened to one key.

    Attributes:
        action: One of ACTIONS; ``unknown`` if the write was sent and no reply came.
        error: Why, if it failed or is unknown.
        plan: Kept for a diff, if one was asked for.
    """

    entry: KeyEntry
    action: str
    error: Optional[KeyfleetError] = None
    plan: Optional[KeyPlan] = field(default=None, repr=False)

    @property
    def changed(self) -> bool:
        """Whether the key was changed, or may have been."""
        return self.action not in ("unchanged", "failed")


@dataclass(frozen=True)
class KeyReport:
    """What happened to all keys, in the order given."""

    outcomes: Sequence[KeyOutcome]

    @property
    def changed(self) -> bool:
        """Whether any key was changed, or may have been."""
        return any(outcome.changed for outcome in self.outcomes)

    @property
    def failures(self) -> list[KeyOutcome]:
        """The keys that are not, or not surely, as they should be."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def as_result(self) -> dict[str, Any]:
        """Return plain data: ``changed``, ``counts`` by action, and the first hundred ``entries`` and ``failures``."""
        counts = Counter(outcome.action for outcome in self.outcomes)
        return {
            "changed": self.changed,
            "counts": {action: counts[action] for action in ACTIONS},
            "entries": [
                {"key": outcome.entry.name, "state": "present" if outcome.entry.present else "absent", "action": outcome.action}
                for outcome in self.outcomes[:DETAILS]
            ],
            "failures": [
                {"index": outcome.entry.index, "key": outcome.entry.name, "error": type(outcome.error).__name__, "msg": str(outcome.error)}
                for outcome in self.failures[:DETAILS]
            ],
        }

    def message(self) -> str:
        """Return one sentence that names the first keys that failed and says why; empty if none did."""
        failures = self.failures
        if not failures or len(self.outcomes) == 1:
            return "".join(str(outcome.error) for outcome in failures)
        named = [f"{outcome.entry.name!r} (entry {outcome.entry.index}): {outcome.error}" for outcome in failures[:FAILURES_IN_MESSAGE]]
        more = f"; and {len(failures) - len(named)} more" if len(failures) > len(named) else ""
        return f"{len(failures)} of {len(self.outcomes)} entries failed: {'; '.join(named)}{more}"

    def diff(self, *, hide_values: bool = False) -> list[dict[str, Any]]:
        """Return before and after of the first hundred keys that were changed, for Ansible's diff."""
        plans = [(outcome.entry.name, outcome.plan) for outcome in self.outcomes if outcome.plan and outcome.changed]
        return [
            {
                "before_header": name,
                "after_header": name,
                "before": _shown(plan.found, "VALUE_HIDDEN" if hide_values else None),
                "after": _shown(plan.after, ("VALUE_HIDDEN" if plan.action == "ttl" else "VALUE_HIDDEN, new") if hide_values else None),
            }
            for name, plan in plans[:DETAILS]
        ]


def _shown(found: Found, hidden: Optional[str]) -> Union[str, dict[str, Any]]:
    """Return what a key is as plain data, with *hidden* in place of the value if it is given."""
    if found.type == MISSING:
        return ""
    shown: dict[str, Any] = {"type": found.type, "ttl_seconds": round(found.ttl_ms / 1000) if found.ttl_ms >= 0 else None}
    if hidden:
        shown["value"] = hidden
    elif found.value is not None:
        value = TYPES[found.type].show(found.value)
        text = json.dumps(value).encode()
        long = len(text) > LONGEST_VALUE_IN_DIFF
        shown["value"] = f"{len(text)} bytes as JSON, SHA-256 {hashlib.sha256(text).hexdigest()}" if long else value
    return shown


def apply_entries(
    client: Any, settings: Settings, entries: Sequence[KeyEntry], *, check: bool = False, keep_plans: bool = False
) -> KeyReport:
    """
    Make the keys what the entries say.

    Args:
        client: redis-py client of *settings*, with replies as bytes.
        entries: What `key_plan.parse_entries` returned; no key twice.
        check: Only read, and report what would be done.
        keep_plans: Keep before and after for a diff; this also reads the values of keys that are deleted or replaced.
    Returns:
        KeyReport with one outcome per entry. Errors of single keys are in it; so is a connection that breaks after something was written.
    Raises:
        KeyfleetError: if the server cannot be asked and nothing was written.
    """
    job = _Job(client, settings, check, keep_plans)
    for chunk in _chunks(entries):
        if job.stopped_by:
            job.note(chunk, "failed", job.stopped_by)
        else:
            job.work_off(chunk)
    return KeyReport([job.outcomes[entry.key] for entry in entries])


def _chunks(entries: Sequence[KeyEntry]) -> Iterator[list[KeyEntry]]:
    """Cut the entries so that no pipeline grows beyond some hundred keys or some MiB."""
    chunk: list[KeyEntry] = []
    size = 0
    for entry in entries:
        weight = _weight(entry.value)
        if chunk and (len(chunk) == CHUNK_ENTRIES or size + weight > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += weight
    if chunk:
        yield chunk


def _weight(value: Any) -> int:
    """Return roughly the number of bytes of a comparable value."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_weight(key) + _weight(item) for key, item in value.items())
    if isinstance(value, (list, tuple, frozenset)):
        return sum(_weight(item) for item in value)
    return 8


@dataclass
class _Job:
    """One call of `apply_entries`: what it works with, and the outcomes so far, by key."""

    client: Any
    settings: Settings
    check: bool
    keep_plans: bool
    outcomes: dict[bytes, KeyOutcome] = field(default_factory=dict)
    stopped_by: Optional[KeyfleetError] = None

    def note(self, entries: Iterable[KeyEntry], action: str, error: Optional[KeyfleetError] = None, plan: Optional[KeyPlan] = None) -> None:
        """Record the same outcome for all *entries*."""
        for entry in entries:
            self.outcomes[entry.key] = KeyOutcome(entry, action, error, plan if self.keep_plans else None)

    def work_off(self, chunk: list[KeyEntry]) -> None:
        """Record an outcome for each entry of the chunk."""
        pending = chunk
        for _attempt in range(ATTEMPTS):
            planned = self._plan(pending)
            pending = [] if self.check else self._write(planned)
            if not pending:
                return
        for entry in pending:
            self.note([entry], "failed", ServerError(f"key {entry.name!r} kept changing while it was to be written"))

    def _plan(self, entries: list[KeyEntry]) -> list[tuple[KeyEntry, KeyPlan]]:
        """Read the keys; return those to write, and record the outcome of the others."""
        planned = []
        for entry, found in zip(entries, self._read(entries)):
            try:
                plan = make_plan(entry, self._checked(found))
            except KeyfleetError as error:
                self.note([entry], "failed", error)
                continue
            if plan.command and not self.check:
                planned.append((entry, plan))
            else:
                self.note([entry], plan.action, plan=plan)
        return planned

    def _read(self, entries: list[KeyEntry]) -> list[Any]:
        """Return a Found, or the error of the reply, for each entry; all get the same error if the server cannot be asked."""
        try:
            states = self._read_states(entries)
            return self._read_values(entries, states)
        except (RedisError, OSError) as error:
            reason = translate(error, self.settings)
            if not any(outcome.changed for outcome in self.outcomes.values()):
                raise reason from error
            self.stopped_by = reason
            return [error] * len(entries)

    def _read_states(self, entries: list[KeyEntry]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for entry in entries:
            pipe.type(entry.key)
            pipe.pttl(entry.key)
        replies = pipe.execute(raise_on_error=False)
        return [_state(kind, ttl_ms) for kind, ttl_ms in zip(replies[::2], replies[1::2])]

    def _read_values(self, entries: list[KeyEntry], states: list[Any]) -> list[Any]:
        """Return the states with the values that the plans will need."""
        pipe = self.client.pipeline(transaction=False)
        readers = [self._reader(entry, state) if isinstance(state, Found) else None for entry, state in zip(entries, states)]
        counts = [
            reader.queue_read(pipe, entry.key, entry.value if entry.kind is reader else None) if reader else 0
            for entry, reader in zip(entries, readers)
        ]
        replies = iter(pipe.execute(raise_on_error=False) if any(counts) else [])
        return [
            _with_value(state, reader, [next(replies) for _reply in range(count)]) if reader else state
            for state, reader, count in zip(states, readers, counts)
        ]

    def _reader(self, entry: KeyEntry, found: Found) -> Optional[ValueType]:
        """Return the type that reads the value of *found*, None if the value does not matter."""
        if entry.present and entry.value is not None and entry.only_if != "missing" and found.type == entry.kind.stored_as:
            return entry.kind
        before_shown = self.keep_plans and (not entry.present or entry.replace_type)
        return TYPES.get(found.type) if before_shown else None

    def _checked(self, reply: Any) -> Any:
        """Return the reply, or raise what it says in our terms."""
        if isinstance(reply, (RedisError, OSError)):
            raise translate(reply, self.settings) from reply
        return reply

    def _write(self, planned: list[tuple[KeyEntry, KeyPlan]]) -> list[KeyEntry]:
        """Send the commands and record the outcomes; return the entries whose keys have changed since they were read."""
        pipe = self.client.pipeline(transaction=False)
        for _entry, plan in planned:
            pipe.execute_command(*plan.command)
        try:
            replies = pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            self.stopped_by = translate(error, self.settings)
            replies = [error] * len(planned)
        raced = []
        for (entry, plan), reply in zip(planned, replies):
            if isinstance(reply, (RedisError, OSError)):
                self.note([entry], "unknown" if _is_lost(reply) else "failed", translate(reply, self.settings))
            elif reply:
                self.note([entry], plan.action, plan=plan)
            else:
                raced.append(entry)
        return raced


def _state(kind: Any, ttl_ms: Any) -> Any:
    """Return a Found from the replies to TYPE and PTTL, or the first error among them."""
    for reply in (kind, ttl_ms):
        if isinstance(reply, Exception):
            return reply
    name = printable(kind) if isinstance(kind, bytes) else str(kind)
    # -2: the key has expired between the two commands.
    return Found() if name == MISSING or ttl_ms == -2 else Found(name, ttl_ms)


def _with_value(state: Found, reader: ValueType, replies: Sequence[Any]) -> Any:
    """Return the state with its value, or the first error among the replies."""
    failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
    return failed or Found(state.type, state.ttl_ms, reader.parse(replies))


def _is_lost(error: Exception) -> bool:
    """Return whether the command may have run although there is no reply."""
    return isinstance(error, (redis.ConnectionError, redis.TimeoutError, ReplyLostError, OSError))
