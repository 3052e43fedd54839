# SPDX-License-Identifier: MIT
"""Keys and tags of the calls of a cached function."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..._protocol import json as _json
from ..._protocol.arguments import key_list
from ..._protocol.key_names import Prefix

LONGEST_READABLE = 64
_READABLE = re.compile(r'[\w",.:-]*', re.ASCII)


class CallNames:
    """
    Names the calls of *function*.

    Args:
        function: What is called.
        key: Template of the key, as ``user:{user_id}``, or a function of the same arguments; None for all arguments.
        tags: Templates of the tags, or a function of the same arguments that returns them.
        namespace: Begins each key, behind ``cache:``; where *key* is None, by default the function's module and name.
    Raises:
        TypeError: if the key would depend on ``self`` or ``cls``, of which nothing is known.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        key: str | Callable[..., str] | None,
        tags: Iterable[str] | Callable[..., Iterable[str]],
        namespace: str | None,
    ) -> None:
        self._signature = inspect.signature(function)
        self._called = f"{function.__module__}.{function.__qualname__}"
        self._key, self._tags = key, tags if callable(tags) else tuple(key_list(tags, "tags"))
        self._head = "" if namespace is None and key is not None else f"{Prefix.CACHE}{namespace or self._called}:"
        if key is None and next(iter(self._signature.parameters), "") in ("self", "cls"):
            raise TypeError(f"{self._called} is a method; give key, a template or a function of its arguments")

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """
        Return the key of the call with these arguments.

        Raises:
            TypeError: if they are not those of the function, or have no JSON form where the key is made of all of them.
        """
        if self._key is None:
            return self._head + self._readable(args, kwargs)
        return self._head + (self._key(*args, **kwargs) if callable(self._key) else self._filled(self._key, args, kwargs))

    def tags(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """Return the tags of the call with these arguments."""
        if callable(self._tags):
            return key_list(self._tags(*args, **kwargs), "tags")
        return [self._filled(tag, args, kwargs) for tag in self._tags]

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _filled(self, template: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        return template.format(**self._arguments(args, kwargs)) if "{" in template else template

    def _readable(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Return the arguments as JSON, which distinguishes 1, "1" and True; long ones as a digest."""
        try:
            data = _json.dumps(list(self._arguments(args, kwargs).values()))
        except (TypeError, ValueError) as error:
            raise TypeError(f"the key of {self._called} cannot be made of its arguments: {error}; give key") from error
        text = data.decode()[1:-1]
        if len(text) <= LONGEST_READABLE and _READABLE.fullmatch(text):
            return text
        return "#" + hashlib.blake2b(data, digest_size=16).hexdigest()
