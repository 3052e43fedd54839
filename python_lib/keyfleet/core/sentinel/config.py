# SPDX-License-Identifier: MIT
"""The file of a Sentinel: seeded once, and then its own, but for the lines that no command can change; pure."""

from __future__ import annotations

from collections.abc import Mapping

from .model import SentinelLayout, SentinelOptions


def file_lines(options: SentinelOptions, layout: SentinelLayout, service_manager: str) -> dict[str, str]:
    """
    Return the lines that only the file can change, by what they begin with.

    Source:
        Sentinel has no CONFIG command; https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
    """
    lines = {
        "port": str(options.port),
        "bind": " ".join(options.bind),
        "dir": _quoted(layout.data_dir),
        "logfile": _quoted(layout.log_file),
        "protected-mode": "no",
        "daemonize": "no",
        "supervised": "systemd" if service_manager == "systemd" else "no",
        "sentinel announce-ip": _quoted(options.announced) if options.announced else "",
        "sentinel announce-port": str(options.port),
    }
    if options.password:
        lines["requirepass"] = _quoted(options.password)
        lines["sentinel sentinel-pass"] = _quoted(options.password)
    return {name: value for name, value in lines.items() if value}


def seed(options: SentinelOptions, layout: SentinelLayout, service_manager: str) -> str:
    """Return the file of a Sentinel that was never started."""
    named = {f"sentinel {name}": value for name, value in flags(options).items()}
    lines = {**file_lines(options, layout, service_manager), **named}
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def flags(options: SentinelOptions) -> dict[str, str]:
    """Return what SENTINEL CONFIG SET changes while the Sentinel runs."""
    known = {"resolve-hostnames": options.resolves_hostnames, "announce-hostnames": options.announces_hostnames}
    return {name: "yes" if value else "no" for name, value in known.items()}


def differing(text: str, desired: Mapping[str, str]) -> list[str]:
    """Return which lines of a Sentinel's file are not as desired, by what they begin with."""
    found = {name: value for line in text.splitlines() for name, value in [_split(line)] if name}
    return [name for name, value in desired.items() if _plain(found.get(name, _DEFAULTS.get(name, ""))) != _plain(value)]


def edited(text: str, desired: Mapping[str, str]) -> str:
    """Return the file with the desired lines, and everything else as the Sentinel wrote it."""
    kept = [line for line in text.splitlines() if _split(line)[0] not in desired]
    own = [f"{name} {value}" for name, value in desired.items()]
    return "\n".join([*own, *kept, ""])


# Sentinel leaves a line out that says its default.
_DEFAULTS = {"protected-mode": "yes", "daemonize": "no", "supervised": "no", "sentinel announce-port": "0"}


def _split(line: str) -> tuple[str, str]:
    if not line.strip() or line.startswith("#"):
        return "", ""
    words = line.split(" ", 2)
    if words[0] == "sentinel" and len(words) > 1:
        return f"sentinel {words[1]}", words[2] if len(words) > 2 else ""
    return words[0].lower(), line.partition(" ")[2]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(value: str) -> str:
    """Return a value in the words of both: the server writes texts with quotes or without, as it likes."""
    return value.strip().replace('"', "")
