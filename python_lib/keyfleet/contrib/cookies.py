# SPDX-License-Identifier: MIT
"""The cookie of a session; pure."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Literal


@dataclass(frozen=True)
class Cookie:
    """
    How the cookie is called, and to whom browsers send it.

    Attributes:
        name, path, domain: As browsers know them; no domain means this host alone.
        secure: Whether browsers send it over TLS alone.
        same_site: Whether requests from other sites carry it: ``lax`` for links only.
    """

    name: str = "session"
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    same_site: Literal["lax", "strict", "none"] = "lax"

    def __post_init__(self) -> None:
        if self.same_site not in ("lax", "strict", "none"):
            raise ValueError(f"same_site is {self.same_site!r}; allowed: lax, strict, none")
        self.header("x", 0)  # CookieError for a name that is none

    def value_in(self, header: str) -> str | None:
        """Return its value in a Cookie header, None if it is not there."""
        try:
            found = SimpleCookie(header).get(self.name)
        except CookieError:  # what browsers send is not always right
            return None
        return None if found is None else found.value

    def header(self, value: str, max_age_seconds: int) -> str:
        """Return the Set-Cookie header; an age of 0 removes the cookie. Scripts of the page never see it."""
        made: SimpleCookie = SimpleCookie()
        made[self.name] = value
        morsel = made[self.name]
        morsel["path"], morsel["max-age"], morsel["httponly"] = self.path, max_age_seconds, True
        morsel["samesite"] = self.same_site.capitalize()
        if self.domain is not None:
            morsel["domain"] = self.domain
        if self.secure:
            morsel["secure"] = True
        return morsel.OutputString()
