# SPDX-License-Identifier: MIT
"""Where commands and replies begin and end in a stream of RESP2 or RESP3; values are not decoded."""

from __future__ import annotations

_BULK = b"$=!"
_ELEMENTS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}  # elements for each one announced
_ATTRIBUTES = ord("|")
_END = b"\r\n"


class Scanner:
    """
    Cuts a stream into frames: a whole command, inline ones included, or a whole reply each.

    Works on what has arrived and continues where it stopped, so that a large reply in many pieces is read once.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0  # of the first element not yet read
        self._missing = 1  # elements until the frame is complete

    def feed(self, data: bytes) -> list[bytes]:
        """
        Return the frames that *data* completes.

        Raises:
            ValueError: if this is not RESP; `rest` returns what was not cut.
        """
        buffer, position, missing = self._buffer, self._position, self._missing
        buffer += data
        frames, start = [], 0
        while (line_end := buffer.find(_END, position)) >= 0:
            kind, after = buffer[position], line_end + 2
            if kind in _BULK:
                length = int(buffer[position + 1 : line_end])
                after += length + 2 if length >= 0 else 0
                if after > len(buffer):
                    break
            elif kind in _ELEMENTS:
                missing += max(int(buffer[position + 1 : line_end]), 0) * _ELEMENTS[kind]
                missing += kind == _ATTRIBUTES  # the reply itself follows them
            missing -= 1
            position = after
            if not missing:
                frames.append(bytes(buffer[start:position]))
                start, missing = position, 1
        del buffer[:start]
        self._position, self._missing = position - start, missing
        return frames

    def rest(self) -> bytes:
        """Return the bytes of the frame that is not complete, and forget them."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._position, self._missing = 0, 1
        return rest


def words(command: bytes, count: int) -> list[bytes]:
    """Return the first *count* words of a command in upper case, fewer if it has fewer."""
    if not command.startswith(b"*"):
        return command.upper().split()[:count]
    found: list[bytes] = []
    position = command.index(_END) + 2
    while len(found) < count and position < len(command):
        line_end = command.index(_END, position)
        length = int(command[position + 1 : line_end])
        found.append(command[line_end + 2 : line_end + 2 + length].upper())
        position = line_end + length + 4
    return found
