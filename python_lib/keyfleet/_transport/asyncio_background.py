# SPDX-License-Identifier: MIT
"""Work beside its caller, for asyncio: timers, and steps that a cancellation must not keep from being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]

_tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps none alive


def _start(work: Work) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(work())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def finish(work: Work) -> None:
    """Do *work*, to its end even if the caller is cancelled meanwhile."""
    await asyncio.shield(_start(work))


class Timers:
    """Does work later, in the loop of whoever asks for it."""

    def call_later(self, seconds: float, work: Work) -> asyncio.TimerHandle:
        """Do *work* in *seconds* unless the handle is cancelled before; it must not raise."""
        return asyncio.get_running_loop().call_later(seconds, _start, work)
