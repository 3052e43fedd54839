# SPDX-License-Identifier: MIT
"""
The rooms of the code, and what each may import.

A room is a folder (or a file at the top). docs/architecture.md draws the picture; these tables hold it. A new folder gets its row
here in the commit that makes it; a row changes only with a reason in the commit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from support.imports import CORE, PACKAGE, ROOT, closure, cycle, imported_files, is_docstring_only

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "layout": set(),
    "profile": set(),
    "connect": {"errors"},
    "directives": {"errors"},
    "host": {"errors"},
    "keys": {"connect", "errors"},
    "health": {"connect", "errors"},
    "acl": {"connect", "directives", "errors"},
    "topology": set(),
    # health, since they prove themselves; topology, which says what the hosts of each must agree on
    "replication": {"connect", "health", "topology", "errors"},
    "cluster": {"connect", "health", "topology", "errors"},
    "rolling": {"cluster", "connect", "replication", "errors"},
    "tls": {"host", "layout"},
    "managed": {"errors"},
    "service": {"host", "layout", "errors"},
    "sentinel": {"connect", "host", "layout", "replication", "service", "errors"},  # host and service, since it runs a process
    "install": {"directives", "host", "errors"},
    "instance": {"acl", "connect", "directives", "health", "host", "install", "layout", "profile", "service", "tls", "topology", "errors"},
}
INSTANCE = {"instance", *MAY_IMPORT["instance"]} - {"install", "health"}
PAYLOAD: dict[str, set[str]] = {  # what Ansible sends to the host with each module
    "redis_files": {"errors", "host"},
    "redis_kernel": {"errors", "host"},
    "redis_release": {"errors", "host", "directives", "install"},
    "redis_repo": {"errors", "host", "install"},
    "redis_key": {"errors", "connect", "keys"},
    "redis_invalidate": {"errors", "connect", "keys"},
    "redis_health": {"errors", "connect", "health"},
    "redis_preflight": INSTANCE | {"install", "health"},
    "redis_proof": INSTANCE | {"health"},
    "redis_turn": {"errors", "connect", "cluster", "replication", "rolling"},
    "redis_sentinel": {"errors", "connect", "host", "layout", "replication", "sentinel", "service"},
    "redis_replication": {"errors", "connect", "replication", "health"},
    "redis_cluster": {"errors", "connect", "cluster", "health"},
    "redis_instances": INSTANCE | {"health"},
    "redis_restart": INSTANCE,
    "redis_secret": set(),  # runs on the controller
    "redis_certificates": set(),
    "redis_lock": set(),
    "redis_profiles": set(),
    "redis_validate": set(),
}
ROOMS_OF_A_CLIENT = {"_attempts", "_capabilities", "_topics", "_policy", "_protocol", "_transport"} | {
    *("core/errors", "core/connect", "core/health", "core/keys"),
}
CLIENT_MAY_IMPORT: dict[str, set[str]] = {  # rooms of the client; of the core only what is named here as core/
    "_policy": set(),
    "_attempts": {"_policy", "_protocol", "core/errors"},
    "_topics": {"_protocol"},
    "_protocol": {"core/errors", "core/health", "core/keys"},
    "_transport": {"_policy", "_protocol", "core/errors", "core/connect"},
    "_capabilities": {"_protocol", "core/errors", "core/keys"},  # of the keys, the names of the counters of tags
    "_async": ROOMS_OF_A_CLIENT,
    "_sync": ROOMS_OF_A_CLIENT,
    "contrib": {"_capabilities", "_protocol", "_async", "_sync", "core/errors", "core/managed"},  # managed for tokens of IAM
    "testing": {"core/errors", "core/connect"},
    "__init__": {"_policy", "_capabilities", "_protocol", "_transport", "_async", "_sync", "core/errors", "core/connect", "core/health"},
}
CORE_FILES = sorted(path for path in CORE.rglob("*.py") if path.name != "__init__.py")
CLIENT_FILES = sorted(path for path in PACKAGE.rglob("*.py") if CORE not in path.parents)
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))


def room(path: Path, top: Path = CORE) -> str:
    """Return the room of *path* below *top*: its folder there, or the file's own name."""
    return path.relative_to(top).parts[0].removesuffix(".py")


def rooms(paths: Iterable[Path]) -> set[str]:
    """Return the rooms of the core that *paths* lie in; packages count for nothing but their files."""
    return {room(path) for path in paths if CORE in path.parents and path.name != "__init__.py"}


def arrows(files: list[Path], top: Path) -> Mapping[str, set[str]]:
    """Return for each of *files* which of the others it imports, by path below *top*."""
    return {
        str(path.relative_to(top)): {str(target.relative_to(top)) for target in imported_files(path) if target in files} for path in files
    }


def test_every_room_has_a_row() -> None:
    """A new folder gets a row that says what it may import."""
    missing = sorted({room(path) for path in CORE_FILES} - MAY_IMPORT.keys())
    assert [] == [f"give core/{name} a row" for name in missing]
    assert [] == sorted(MAY_IMPORT.keys() - {room(path) for path in CORE_FILES}), "rows without a folder"


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_core_imports_only_what_its_room_may(path: Path) -> None:
    """Arrows go down only; the core imports nothing of the client above it."""
    imported = imported_files(path)
    assert [] == sorted(str(target.relative_to(ROOT)) for target in imported if CORE not in target.parents)
    assert [] == sorted(rooms(imported) - MAY_IMPORT.get(room(path), set()) - {room(path)})


def test_rooms_have_no_cycle() -> None:
    """No room imports, through others, itself."""
    assert [] == cycle(MAY_IMPORT)


def test_files_of_the_core_have_no_cycle() -> None:
    """No file imports, through others, itself."""
    assert [] == cycle(arrows(CORE_FILES, CORE))


@pytest.mark.parametrize("path", CLIENT_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_client_imports_only_what_its_room_may(path: Path) -> None:
    """What decides knows nothing of what waits: _protocol imports neither transport nor calls."""
    mine = room(path, PACKAGE)
    targets = [target for target in imported_files(path) if target.name != "__init__.py"]
    found = {f"core/{room(target)}" if CORE in target.parents else room(target, PACKAGE) for target in targets}
    assert mine in CLIENT_MAY_IMPORT, f"give {mine} a row in CLIENT_MAY_IMPORT"
    assert [] == sorted(found - CLIENT_MAY_IMPORT[mine] - {mine})


def test_rooms_and_files_of_the_client_have_no_cycle() -> None:
    """Neither a room nor a file imports, through others, itself."""
    assert [] == cycle(CLIENT_MAY_IMPORT)
    assert [] == cycle(arrows([path for path in CLIENT_FILES if path.name != "__init__.py"], PACKAGE))


def test_the_pictures_are_the_tables() -> None:
    """docs/architecture.md draws every arrow of the tables, but for those to errors."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    pictures = re.findall(r"^```mermaid\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for picture, table in zip(pictures, (MAY_IMPORT, CLIENT_MAY_IMPORT), strict=True):
        drawn = {(source, target.replace("core_", "core/")) for source, target in re.findall(r"(\w+) --> (\w+)", picture)}
        assert drawn == {(source, target) for source, targets in table.items() for target in targets if "errors" not in target}


def test_files_of_the_client_have_no_cycle() -> None:
    """No file imports, through others, itself; what is named in an annotation counts."""
    assert [] == cycle(arrows(CLIENT_FILES, PACKAGE))


def test_packages_of_the_core_are_docstrings() -> None:
    """A package that imports its files would make every module ship the whole folder."""
    assert [] == [str(path.relative_to(ROOT)) for path in sorted(CORE.rglob("__init__.py")) if not is_docstring_only(path)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_send_what_they_need(path: Path) -> None:
    """What Ansible sends with a module is read on every host, in every task."""
    assert path.stem in PAYLOAD, f"give {path.stem} a row in PAYLOAD"
    assert PAYLOAD[path.stem] == rooms(closure([path]))


@pytest.mark.parametrize("layer", ["unit", "integration"])
def test_tests_are_laid_out_as_the_rooms(layer: str) -> None:
    """A folder of tests has the name of a room; client and testing are those of the library, modules is what modules have in common."""
    folders = {path.parent.relative_to(ROOT / "tests" / layer).parts for path in (ROOT / "tests" / layer).rglob("test_*.py")}
    known = {(name,) for name in (*MAY_IMPORT, "client", "testing", "modules")} | ({()} if layer == "unit" else set())
    assert [] == sorted(folders - known)


def test_files_of_tests_have_names_of_their_own() -> None:
    """pytest imports them by name alone, so two of one name cannot be collected in one run."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [] == [name for name, count in names.items() if count > 1]


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """In functions, below TYPE_CHECKING, of modules and of names in them, and of packages."""
    for name in ("pair/__init__.py", "pair/left.py", "right.py", "shown.py", "lazy.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "main.py").write_text(
        "from typing import TYPE_CHECKING\nfrom . import right\nfrom .pair.left import name\nfrom .pair import other\n"
        "if TYPE_CHECKING:\n    from .shown import Name\ndef call():\n    from . import lazy\n"
    )
    expected = {"right.py", "pair/left.py", "pair/__init__.py", "shown.py", "lazy.py"}
    assert expected == {str(path.relative_to(tmp_path)) for path in imported_files(tmp_path / "main.py")}


def test_cycles_are_found() -> None:
    """The cycle is named in order, and a table without one is accepted."""
    assert ["b", "c", "b"] == cycle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}})
    assert [] == cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
