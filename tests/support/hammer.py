# SPDX-License-Identifier: MIT
"""Clients that write to one port as fast as it takes them, whether a server listens there or not."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from types import TracebackType

WRITERS = 4


class Hammer:
    """
    Connect to a port and write until stopped; a context manager.

    Attributes:
        acknowledged: Number of writes that were acknowledged.
        answers: How often each other answer came, by its first word; ``-READONLY`` for one.
    """

    def __init__(self, host: str, port: int, password: str | None) -> None:
        self.acknowledged, self.answers = 0, Counter[str]()
        self._place, self._login = (host, port), f"AUTH {password}\r\n" if password else ""
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._hammer, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> Hammer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _hammer(self, number: int) -> None:
        while not self._ended.wait(0.001):
            try:
                with socket.create_connection(self._place, 1) as connection:
                    self._write(connection, number)
            except OSError:
                continue

    def _write(self, connection: socket.socket, number: int) -> None:
        stream = connection.makefile("rwb")
        if self._login:
            stream.write(self._login.encode())
            stream.flush()
            stream.readline()
        while not self._ended.wait(0.0005):
            stream.write(f"SET hammer:{number} 1\r\n".encode())
            stream.flush()
            answer = stream.readline().decode()
            if answer == "+OK\r\n":
                self.acknowledged += 1
            elif not answer:
                return
            else:
                self.answers[answer.split(" ")[0].strip()] += 1
