# SPDX-License-Identifier: MIT - made from _async/discovering_router.py by scripts/generate_sync.py; change that one
"""What routers of Sentinels and clusters have in common: they ask sources for the topology, and decide whom to believe."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from .._protocol.resp import ErrorReply, pack
from .._protocol.topology import Survey, View
from .._transport.dialer import Address, Request, format_address
from .._transport.failures import LostError, NotSentError
from .._transport.thread_pool import Node, exchange_all
from ..core.errors import KeyfleetError, UnreachableError
from .router import Router

OUTDATED = "every source that answers has an outdated view of the topology"
DISAGREED = "the sources that answer disagree about the topology"
ENOUGH_SECONDS = 0.1  # for a source that may only confirm what another one has said


class Unusable(Exception):  # noqa: N818 - never leaves the routers
    """A source gave no usable answer; *cause* is the error for the caller if no other source does."""

    def __init__(self, cause: KeyfleetError) -> None:
        super().__init__(cause)
        self.cause = cause


class DiscoveringRouter(Router, ABC):
    """Asks Sentinels, or the nodes of a cluster, for the topology."""

    def _ask_sources(self, survey: Survey, deadline: float) -> View:
        """
        Ask one source after the other until *survey* has enough replies, and return the view that is believed.

        Raises:
            NotSentError: if no source gives one that may be believed.
        """
        trouble: KeyfleetError = UnreachableError(self._dialer.settings.address, "no server is known")
        while (source := survey.next()) is not None:
            now = time.monotonic()
            share = max((deadline - now) / (survey.sources_left + 2), 0)  # the last one leaves half of the time for what follows
            try:
                view = self._view_of(source, now + (min(share, ENOUGH_SECONDS) if survey.is_urgent else share))
            except Unusable as failure:
                trouble = failure.cause
                survey.note(source, None)
            except NotSentError as failure:
                if not isinstance(failure.cause, UnreachableError):
                    raise
                trouble = failure.cause
                survey.note(source, None)
            except LostError as failure:
                trouble = UnreachableError(format_address(source), str(failure))
                survey.note(source, None)
            else:
                survey.note(source, view)
        believed = survey.verdict()
        if believed is None:
            known = OUTDATED if survey.is_outdated else DISAGREED if survey.has_candidate else None
            raise NotSentError(trouble if known is None else UnreachableError(self._dialer.settings.address, known))
        return believed

    @abstractmethod
    def _view_of(self, address: Address, deadline: float) -> View:
        """Return what the source at *address* says about the topology."""

    def _ask(self, node: Node, commands: list[tuple[str, ...]], deadline: float) -> list[Any]:
        """Return the replies of one server."""
        request = Request(node, b"".join(map(pack, commands)), len(commands), deadline)
        outcome = (exchange_all([request]))[0]
        if isinstance(outcome, (NotSentError, LostError)):
            raise outcome
        return outcome

    def _checked(self, node: Node, reply: Any) -> Any:
        """Return *reply*, or raise Unusable if it is an error."""
        if reply.__class__ is not ErrorReply:
            return reply
        if reply.code == "LOADING":
            raise Unusable(UnreachableError(format_address(node.address), str(reply)))
        raise Unusable(self._dialer.translate(reply))
