# SPDX-License-Identifier: MIT
"""One SSLContext for all connections of a client."""

from __future__ import annotations

import logging
import os
import ssl

from ..core.connect.settings import Settings
from ..core.connect.tls import make_context
from ..core.errors import SettingsError

logger = logging.getLogger("keyfleet")


class SharedContext:
    """
    The SSLContext of a client: made for its first connection, and anew after one of its files was replaced.

    Args:
        settings: Name the files.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = [path for path in (settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file) if path]
        self._made: tuple[list[tuple[int, int, int]], ssl.SSLContext] | None = None  # one value, so that threads need no lock

    def get(self) -> ssl.SSLContext:
        """Return the context; SettingsError if its files cannot be used and never could."""
        made = self._made
        stamps = self._stamps()
        if made is not None and made[0] == stamps:
            return made[1]
        try:
            context = make_context(self._settings)
        except SettingsError as error:  # the file is being replaced
            if made is None:
                raise
            logger.warning("%s; the certificates of before stay in use", error)
            context = made[1]
        self._made = stamps, context
        return context

    def _stamps(self) -> list[tuple[int, int, int]]:
        """Return what changes with the files."""
        try:
            found = map(os.stat, self._paths)
            return [(stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found]
        except OSError:
            return []
