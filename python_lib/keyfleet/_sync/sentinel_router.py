# SPDX-License-Identifier: MIT - made from _async/sentinel_router.py by scripts/generate_sync.py; change that one
"""Which server takes a command behind Sentinel: the primary of the service, or one of its replicas."""

from __future__ import annotations

import itertools
import time

from .._protocol.discovery import read_sentinel_replicas, read_watched
from .._protocol.identity import HELLO, Identity, read_greeting
from .._protocol.topology import Sources, View
from .._protocol.watch import EVENTS, PING, SUBSCRIBE, Reason, Watch
from .._transport.dialer import Address, Dialer, format_address
from .._transport.failures import LostError, NotSentError, StrangerError
from .._transport.thread_feed import Feed
from .._transport.thread_pool import Node
from ..core.errors import ServerError, UnreachableError
from .discovering_router import DiscoveringRouter, Unusable

PRIMARY = Identity(role="master")
UNREACHABLE = "unreachable"
REDISCOVERY_SECONDS = 0.25  # longest time that a call asks Sentinels although it knows a primary and no event was reported


class SentinelRouter(DiscoveringRouter):
    """The primary that Sentinel names, and its replicas; one Sentinel is listened to, so that failovers are known immediately."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        settings = dialer.settings
        self._sentinel_dialer = dialer.for_sentinels()
        self._sentinels: dict[Address, Node] = {address: Node(self._sentinel_dialer, address) for address in settings.sentinels}
        self._service = str(settings.sentinel_service)
        self._replicas: list[Node] = []
        self._turn = itertools.count()
        self._sources = Sources()
        self._watch = Watch(self._service)
        self._feed: Feed | None = None
        self._unknown: set[Address] = set()  # Sentinels that did not know the service in this survey
        self._roles: dict[Address, str] = {}  # of the primaries that were named in this survey
        self._needs_rediscovery = self._is_asking = self._may_listen = False

    def find(self, name: str | None, reads: bool) -> Node | None:
        del name
        if self.has_changes():
            return None
        if reads and self._replicas and self._dialer.policy.read_from == "replica":
            return self._replicas[next(self._turn) % len(self._replicas)]
        return self._primaries[0] if self._primaries else None

    def has_changes(self) -> bool:
        feed, watch = self._feed, self._watch
        for reply in feed.take() if feed is not None else ():
            if isinstance(reply, LostError):
                self._stop_listening()
            else:
                watch.heard(reply)
        reason, pings = watch.check()
        if pings and feed is not None:
            feed.post(PING)
        if not watch.is_listening:  # it was silent for too long, so the next survey listens to another one
            self._close_feed()
        self._needs_rediscovery = self._needs_rediscovery or reason is Reason.REDISCOVERY
        return reason is Reason.EVENT or (self._needs_rediscovery and not self._is_asking)

    def serving(self) -> list[Node]:
        return [*self._primaries, *self._replicas]

    @property
    def nodes(self) -> list[Node]:
        return [*self._nodes.values(), *self._sentinels.values()]

    def _learn(self, deadline: float, is_suspect: bool) -> None:
        has_event, needs_rediscovery = self._watch.has_event, self._needs_rediscovery
        self._needs_rediscovery = False
        if has_event or not self._primaries or (is_suspect and not needs_rediscovery):
            self._survey(deadline, is_suspect=not has_event)
            return
        now = time.monotonic()
        self._is_asking = True  # other calls use the primary meanwhile
        try:
            self._survey(now + min(REDISCOVERY_SECONDS, (deadline - now) / 4), is_suspect=False)
        except NotSentError:  # the primary that is known is no worse for Sentinels that do not answer
            return
        finally:
            self._is_asking = False

    def _survey(self, deadline: float, *, is_suspect: bool) -> None:
        """Ask Sentinels, listen to one of them, and take what they say."""
        self._may_listen = self._watch.may_listen
        self._unknown, self._roles = set(), {}
        if not is_suspect and self._primaries:
            self._roles[self._primaries[0].address] = "master"  # calls say otherwise if it is none
        view: View | None = None
        events = self._watch.events
        reporter = self._feed.address if self._feed is not None and self._watch.has_event else None
        try:
            view = self._ask_sources(self._sources.survey(self._sentinels, is_suspect=is_suspect, first=reporter), deadline)
        except NotSentError:
            if len(self._unknown) == len(self._sentinels):
                unknown = "no Sentinel knows this service; name one that they monitor"
                raise NotSentError(ServerError(unknown, self._dialer.settings.address)) from None
            raise
        finally:
            if self._may_listen and self._feed is None:
                self._watch.lost()
            self._watch.asked(events if view is not None else 0)
        if self._feed is not None and self._sources.has_trouble(self._feed.address):
            self._stop_listening()  # the next survey listens to another one
        self._take(view)

    def _take(self, view: View) -> None:
        primary, replicas = view.content
        node = self.node_at(primary)
        for other in self._nodes.values():
            other.identity = PRIMARY if other is node else Identity()
        if self._primaries != [node]:
            for old in self._primaries:
                old.drop()
        self._primaries, self._replicas = [node], [self.node_at(address) for address in replicas]

    def _view_of(self, address: Address, deadline: float) -> View:
        sentinel = self._sentinels[address]
        if self._may_listen and self._feed is None:
            self._listen(address, deadline)
        commands: list[tuple[str, ...]] = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service), ("SENTINEL", "MASTER", self._service)]
        if self._dialer.policy.read_from == "replica":
            commands.append(("SENTINEL", "REPLICAS", self._service))
        found, facts, *listed = self._ask(sentinel, commands, deadline)
        if self._checked(sentinel, found) is None:
            self._unknown.add(address)
            raise Unusable(UnreachableError(self._dialer.settings.address, "no Sentinel that answers knows a primary of this service"))
        primary = (found[0].decode(), int(found[1]))
        role = self._role_of(primary, deadline)
        if role not in ("", "master", UNREACHABLE):  # Sentinel has not seen yet what happened
            raise Unusable(UnreachableError(format_address(primary), "Sentinel names it as the primary and it is a replica"))
        replicas = tuple(read_sentinel_replicas(self._checked(sentinel, listed[0]))) if listed else ()
        watched = read_watched(facts)
        return View((primary, replicas), watched.epoch, is_cut_off=watched.is_cut_off or role == UNREACHABLE)

    def _role_of(self, address: Address, deadline: float) -> str:
        """Return the role of the server at *address*, asked once in each survey; empty if the user may not ask it."""
        if address not in self._roles:
            self._roles[address] = UNREACHABLE
            try:
                replies = self._ask(self.node_at(address), [HELLO], deadline)
            except StrangerError:
                self._roles[address] = "replica"
            except NotSentError as failure:
                if not isinstance(failure.cause, UnreachableError):
                    raise
            except LostError:
                pass
            else:
                self._roles[address] = read_greeting(replies[0]).get("role", "")
        return self._roles[address]

    def _listen(self, address: Address, deadline: float) -> None:
        """Hear from the Sentinel at *address* what happens; one that does not let this user listen is asked all the same."""
        feed = Feed.open(self._sentinel_dialer, address, SUBSCRIBE, len(EVENTS), deadline)
        replies = feed.take()
        if not any(isinstance(reply, list) for reply in replies):
            feed.close()
            return
        self._watch.opened()
        self._feed = feed
        for reply in replies:
            self._watch.heard(reply)

    def _stop_listening(self) -> None:
        self._close_feed()
        self._watch.lost()

    def _close_feed(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def close(self) -> None:
        super().close()
        self._close_feed()
        for sentinel in self._sentinels.values():
            sentinel.close()
