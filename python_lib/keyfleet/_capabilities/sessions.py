# SPDX-License-Identifier: MIT
"""Sessions: where they are, what their records hold, and what callers get; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from .._protocol import json as _json
from .._protocol.arguments import Seconds, milliseconds, whole
from .._protocol.command import NO_FALLBACK, Command, Kind, Repeat
from .._protocol.key_names import Prefix
from .._protocol.replies import same
from .._protocol.resp import Argument
from .._protocol.scripts import load
from ..core.errors import DecodeError
from .secrets import TAG_LENGTH, digest_of, tag_in, user_tag, user_text

T = TypeVar("T")

READ = Kind("EVALSHA", Repeat.READ, "hash", NO_FALLBACK)
SAME = Kind("EVALSHA", Repeat.SAME, "hash", NO_FALLBACK)
# Repeated, it could come late and bring back a session that was destroyed meanwhile.
ONCE = Kind("EVALSHA", Repeat.NEVER, "hash", NO_FALLBACK)

POINTER = "f."  # begins the digest of a session whose record is elsewhere, since the application gave its id
GIVEN_TAG_LENGTH = 22  # unlike that of a user's
_HANDLES = re.compile(r"handle:([\w-]{16}|[\w-]{22}):([\w-]{43})", re.ASCII)
_TEXTS = {"email": "email", "role": "role", "ip": "ip", "user_agent": "agent"}  # fields of SessionData, and how the record calls them
_EXTRA = "x:"


@dataclass(frozen=True)
class SessionData:
    """
    What is known of a session.

    Attributes:
        user_id: Whose it is.
        created_at, last_activity_at: In seconds since the epoch, by the server's clock.
        email, role, ip, user_agent: What the application stored; None if nothing.
        extra: Further values, as JSON has them.
    """

    user_id: str
    created_at: float = 0.0
    last_activity_at: float = 0.0
    email: str | None = None
    role: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionEntry:
    """
    A session in the list of its user's.

    Attributes:
        handle: Names it to `destroy`; it opens nothing, and may be shown to the user.
        data: What is known of it.
        expires_at: In seconds since the epoch, by the server's clock.
        version: Rises with each `update`.
    """

    handle: str
    data: SessionData
    expires_at: float
    version: int

    @property
    def user_id(self) -> str:
        """Whose it is."""
        return self.data.user_id


@dataclass(frozen=True)
class Session(SessionEntry):
    """
    A session.

    Attributes:
        id: The secret that its user shows; stored nowhere.
    """

    id: str = field(repr=False, default="")


class Place(NamedTuple):
    """
    Where a session is.

    Attributes:
        tag: Of the keys that hold it.
        digest: Its name there.
    """

    tag: str
    digest: str

    @property
    def is_pointer(self) -> bool:
        """Whether it is the entry of a session that is elsewhere."""
        return self.digest.startswith(POINTER)


def place_of(session_id: str) -> Place:
    """
    Return where the session with this id is; one that keyfleet made says it, one of the application's has keys of its own.

    Raises:
        TypeError: if it is no text.
    """
    if not isinstance(session_id, str):
        raise TypeError(f"a session's id is of type {type(session_id).__name__}; it must be a text")
    digest, tag = digest_of(session_id), tag_in(session_id)
    return Place(digest[:GIVEN_TAG_LENGTH] if tag is None else tag, digest)


def is_given(place: Place) -> bool:
    """Say whether the application gave the id: its keys are named by the id and not by the user."""
    return len(place.tag) != TAG_LENGTH


def user_place(user_id: str | int, digest: str = "") -> Place:
    """Return where the sessions of a user are."""
    return Place(user_tag("user_id", user_id), digest)


def pointer_to(place: Place, user_id: str) -> Place:
    """Return the entry in the user's sessions for one under an id of the application."""
    return user_place(user_id, POINTER + place.digest)


def target_of(pointer: str) -> Place:
    """Return where the session is to which a digest in the user's sessions points."""
    digest = pointer.removeprefix(POINTER)
    return Place(digest[:GIVEN_TAG_LENGTH], digest)


def handle_of(place: Place) -> str:
    """Return the handle of the session at *place*."""
    return f"handle:{place.tag}:{place.digest}"


def place_in(named: str) -> Place:
    """Return where the session is that an id, or a handle, names."""
    handle = _HANDLES.fullmatch(named) if isinstance(named, str) else None
    return place_of(named) if handle is None else Place(*handle.groups())


def keys_of(place: Place) -> tuple[str, str]:
    """Return the names of its two keys."""
    name = f"{Prefix.SESSION.value}{{{place.tag}}}"
    return name, f"{name}:expiry"


def fields_of(data: SessionData | Mapping[str, Any] | None) -> list[Argument]:
    """
    Return *data* as names and values of a record: what SessionData has a field for, and everything else as JSON.

    Raises:
        TypeError, ValueError: if a value is not what its field holds, or not JSON; the error names it.
    """
    if data is None:
        return []
    if isinstance(data, SessionData):
        given: Mapping[str, Any] = {name: found for name in _TEXTS if (found := getattr(data, name)) is not None} | dict(data.extra)
    else:
        given = data
    made: list[Argument] = []
    for name, value in given.items():
        if not isinstance(name, str):
            raise TypeError(f"a field of a session is of type {type(name).__name__}; it must be a text")
        if name in ("user_id", "created_at", "last_activity_at"):
            raise ValueError(f"{name} is set by create and by the server")
        if name in _TEXTS:
            if not isinstance(value, str):
                raise TypeError(f"{name} is of type {type(value).__name__}; it must be a text")
            made += [_TEXTS[name], value]
        else:
            made += [_EXTRA + name, _json.dumps(value)]
    return made


def _record(reply: Sequence[bytes], place: Place) -> dict[str, Any]:
    """Return handle, data, expiry and version from what `shown` of the scripts returns."""
    found = dict(zip(reply[1::2], reply[2::2], strict=True))

    def text(name: str) -> str | None:
        value = found.get(name.encode())
        return None if value is None else value.decode()

    extra = {}
    for name, value in found.items():
        if name.startswith(_EXTRA.encode()):
            called = name[len(_EXTRA) :].decode()
            try:
                extra[called] = _json.loads(value)
            except ValueError as error:
                raise DecodeError(called, "JSON", "field", value) from error
    data = SessionData(
        text("user") or "",
        int(found[b"created"]) / 1000,
        int(found[b"last"]) / 1000,
        extra=extra,
        **{name: text(called) for name, called in _TEXTS.items()},
    )
    return {"handle": handle_of(place), "data": data, "expires_at": int(reply[0]) / 1000, "version": int(found[b"version"])}


def session_reader(session_id: str, place: Place) -> Callable[[Any, str], Session | None]:
    """Return what makes a Session of a reply."""

    def read(reply: Any, _key: str) -> Session | None:
        return None if reply is None else Session(**_record(reply, place), id=session_id)

    return read


def _command(
    prefix: str, name: str, kind: Kind, place: Place, arguments: Sequence[Argument], decode: Callable[[Any, str], T]
) -> Command[T]:
    keys = keys_of(place)
    return load(f"sessions/{name}").command(kind, tuple([prefix + key for key in keys]), tuple(arguments), keys[0], decode)


def create(
    prefix: str,
    place: Place,
    session_id: str,
    user_id: str | int,
    data: SessionData | Mapping[str, Any] | None,
    ttl_seconds: Seconds,
    sliding: bool,
) -> Command[Session | None]:
    """Return the command that creates a session, None if there is one with the same id."""
    arguments = [place.digest, milliseconds(ttl_seconds), "user", user_text("user_id", user_id), *(("sliding", "1") if sliding else ())]
    return _command(prefix, "create", ONCE, place, [*arguments, *fields_of(data)], session_reader(session_id, place))


def get(prefix: str, place: Place, session_id: str, mode: str = "slide", ttl_seconds: Seconds | None = None) -> Command[Session | None]:
    """Return the command that reads a session; *mode* as the script says."""
    ttl = 0 if ttl_seconds is None else milliseconds(ttl_seconds)
    kind = READ if mode == "read" else SAME
    return _command(prefix, "get", kind, place, (place.digest, mode, ttl), session_reader(session_id, place))


def update(prefix: str, place: Place, session_id: str, changes: Mapping[str, Any], expected_version: int | None) -> Command[Any]:
    """Return the command that changes fields; those whose new value is None are removed. It answers 0 if the version is another."""
    removed = [_TEXTS.get(name, _EXTRA + name) for name, value in changes.items() if value is None]
    stored = fields_of({name: value for name, value in changes.items() if value is not None})
    version = 0 if expected_version is None else whole("expected_version", expected_version)
    read = session_reader(session_id, place)

    def decode(reply: Any, key: str) -> Any:
        return reply if reply == 0 else read(reply, key)

    arguments: list[Argument] = [place.digest, version, len(removed), *removed, *stored]
    return _command(prefix, "update", SAME if expected_version is None else ONCE, place, arguments, decode)


def destroy(prefix: str, place: Place) -> Command[Session | None]:
    """Return the command that ends a session."""
    return _command(prefix, "destroy", SAME, place, (place.digest,), session_reader("", place))


def entries(prefix: str, user_id: str | int) -> Command[list[SessionEntry | Place]]:
    """Return the command that lists the sessions of a user, the latest first; those that are elsewhere as places."""
    user = user_place(user_id)

    def decode(reply: list[list[bytes]], _key: str) -> list[SessionEntry | Place]:
        found: list[SessionEntry | Place] = []
        for digest, *record in reply:
            place = Place(user.tag, digest.decode())
            found.append(target_of(place.digest) if place.is_pointer else SessionEntry(**_record(record, place)))
        return found

    return _command(prefix, "list", READ, user, (), decode)


def revoke(prefix: str, user_id: str | int, kept: str) -> Command[list[Any]]:
    """Return the command that ends all sessions of a user but the one with the digest *kept*."""
    return _command(prefix, "revoke", SAME, user_place(user_id), (kept,), same)
