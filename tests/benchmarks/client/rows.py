# SPDX-License-Identifier: MIT
"""What a measurement is compared with, and how it is shown."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

OURS, RAW = "keyfleet", "redis-py"


@dataclass(frozen=True)
class Row:
    """
    One result and its target.

    Attributes:
        part: Group of measurements that it belongs to.
        what: What was measured.
        value: The result for keyfleet, in *unit*.
        unit: ``x`` for a ratio to redis-py's rate, or to that of the peer that *what* names, else ``ms``, ``s``, ``errors``, ``runs``,
            ``answers``, ``holds`` (1 or 0), ``MiB``, ``k/s`` for thousands a second, or ``times`` for a ratio of which less is better.
        at_least, at_most: The target; a row without one is for information.
        peers: Results of others in the same run.
        spread: Lower and upper quartile of *value*.
        note: What else was seen.
    """

    part: str
    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    peers: Mapping[str, float] = field(default_factory=dict)
    spread: tuple[float, float] | None = None
    note: str = ""

    @property
    def target(self) -> str:
        """The target as text, empty without one."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def is_missed(self) -> bool:
        """Whether there is a target and the result is on its wrong side."""
        too_low = self.at_least is not None and self.value < self.at_least
        return too_low or (self.at_most is not None and self.value > self.at_most)

    @property
    def best_peer(self) -> str:
        """Name and result of the best of the others, empty if no other library was measured."""
        if not self.peers:
            return ""
        name = (max if self.unit in ("x", "k/s", "answers", "holds") else min)(self.peers, key=lambda peer: self.peers[peer])
        return f"{name} {shown(self.peers[name], self.unit)}"


Report = Callable[[Row], None]


def shown(value: float, unit: str) -> str:
    """Return *value* with as many digits as its unit deserves."""
    return f"{value:.0f}" if unit in ("errors", "runs", "answers", "holds", "k/s") else f"{value:.2f}"


def table(rows: Sequence[Row]) -> str:
    """Return *rows* as lines of text in columns, missed targets marked."""
    cells = [("part", "what", "keyfleet", "unit", "quartiles", "target", "best peer", "", "note")]
    for row in rows:
        spread = f"{shown(row.spread[0], row.unit)}..{shown(row.spread[1], row.unit)}" if row.spread else ""
        verdict = "MISSED" if row.is_missed else "met" if row.target else ""
        value = shown(row.value, row.unit)
        cells.append((row.part, row.what, value, row.unit, spread, row.target, row.best_peer, verdict, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)


@dataclass(frozen=True)
class Rates:
    """
    Rates of several contestants that took turns.

    Attributes:
        seconds: For each contestant the times of its blocks, one for each round.
        operations: Operations in a block.
    """

    seconds: Mapping[str, Sequence[float]]
    operations: int

    def ratios(self, name: str, base: str = RAW) -> list[float]:
        """Return how many times faster than *base* the contestant *name* was, for each round."""
        return [theirs / its for theirs, its in zip(self.seconds[base], self.seconds[name])]

    def row(self, part: str, what: str, at_least: float | None) -> Row:
        """Return keyfleet's median ratio to redis-py, the medians of the others, and both rates in the note."""
        ratios = self.ratios(OURS)
        lower, _middle, upper = quantiles(ratios, n=4)
        peers = {name: median(self.ratios(name)) for name in self.seconds if name not in (OURS, RAW)}
        ours, theirs = (self.operations / median(self.seconds[name]) for name in (OURS, RAW))
        note = f"{ours:,.0f}/s, {RAW} {theirs:,.0f}/s"
        return Row(part, what, median(ratios), "x", at_least=at_least, peers=peers, spread=(lower, upper), note=note)

    def row_beside(self, peer: str, part: str, what: str, at_least: float) -> Row:
        """Return keyfleet's median ratio to *peer*."""
        ratios = self.ratios(OURS, peer)
        lower, _middle, upper = quantiles(ratios, n=4)
        return Row(
            part, f"{what}, beside {peer}", median(ratios), "x", at_least=at_least, spread=(lower, upper), note=f"times {peer}'s rate"
        )


def take_turns(blocks: Mapping[str, Callable[[], object]], operations: int, rounds: int) -> Rates:
    """Time each of *blocks*, which do *operations* each, once a round, another one first each time."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for name in _turns(list(blocks), rounds):
        started = time.perf_counter()
        blocks[name]()
        seconds[name].append(time.perf_counter() - started)
    return Rates(seconds, operations)


async def take_turns_async(blocks: Mapping[str, Callable[[], Awaitable[object]]], operations: int, rounds: int) -> Rates:
    """Do what `take_turns` does, with blocks to be awaited."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for name in _turns(list(blocks), rounds):
        started = time.perf_counter()
        await blocks[name]()
        seconds[name].append(time.perf_counter() - started)
    return Rates(seconds, operations)


def _turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield whose turn it is, another one first in each round."""
    for number in range(rounds):
        start = number % len(names)
        for name in [*names[start:], *names[:start]]:
            gc.collect()  # no measurement pays for the garbage of the one before
            yield name
