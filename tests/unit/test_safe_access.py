# SPDX-License-Identifier: MIT
"""
What runs as root opens files only through ``host/safe_paths``: the server's user owns data, log and run folder, and can put links there.

Two programs of ``service`` are not listed. The supervisor gives up root before it touches these folders, which tests/integration/service
shows, and what it does before that is tested in tests/unit/service/test_runner.py. ``start_role.py`` is run as the server's user.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from support.imports import CORE, ROOT

ROOMS = [*sorted((CORE / "instance").glob("*.py")), *sorted((CORE / "service").glob("*.py"))]
FILES = [
    *(path for path in ROOMS if path.name not in {"supervisor.py", "start_role.py"}),
    *(CORE / "host" / name for name in ("files.py", "text_files.py", "accounts.py")),
    *(ROOT / "plugins" / "modules" / f"redis_{name}.py" for name in ("files", "instances", "preflight", "restart")),
]
AMBIGUOUS = frozenset(["absolute", "chmod", "group", "open", "owner", "read_bytes", "rename", "replace", "stat"])  # other objects have them
OF_PATHS = frozenset(name for name in dir(Path) if name not in dir(PurePath)) - AMBIGUOUS
OF_OS = frozenset(
    function.__name__ for function in os.supports_dir_fd | os.supports_fd if not function.__name__.startswith("f")
) | frozenset(["lchown", "lstat", "makedirs", "remove", "removedirs", "renames", "replace", "walk"])
OF_OS_PATH = frozenset(["exists", "getmtime", "getsize", "isdir", "isfile", "islink", "lexists", "realpath", "samefile"])
BY_DESCRIPTOR = {"dir_fd", "src_dir_fd"}

ALLOWED: dict[tuple[str, str], str] = {  # file and call -> why no link of another user can be in the way
    ("preflight.py", "Path('/run/systemd/system').is_dir"): "a fixed path of root",
    ("preflight.py", "Path(path).exists"): "files of apt, in folders of root",
    ("preflight.py", "os.access"): "the program, which the trial runs anyway",
    ("preflight.py", "Path(config).read_text"): "the package's configuration below /etc",
    ("preflight.py", "Path(folder).resolve"): "names only: where the unit would search modules",
    ("preflight.py", "Path(path).resolve"): "names only: where the unit would search programs and modules",
    ("starting.py", "Path(folder).exists"): "asks who can write in the folders above the root, and refuses",
    ("starting.py", "Path(folder).stat"): "as above",
    ("program.py", "os.path.realpath"): "the program's name, to be compared",
    ("starters.py", "os.access"): "the distribution's interpreters, in folders of root",
    ("starters.py", "os.path.realpath"): "the name of the interpreter that runs the module",
    ("state.py", "os.access"): "the program, which the trial runs anyway",
    ("files.py", "os.path.realpath"): "a name only, for a refusal",
    ("files.py", "os.access"): "a refusal for callers without root",
    ("accounts.py", "Path(f'/proc/{pid}/status').read_text"): "the kernel's",
}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each call in a file that opens or changes a path by name: its text, and its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        owner, _dot, name = text.rpartition(".")
        by_name = (
            text == "open"
            or name in OF_PATHS
            or (name in AMBIGUOUS and owner.startswith(("Path(", "pathlib.")))
            or (owner == "os" and name in OF_OS and not BY_DESCRIPTOR & {keyword.arg for keyword in node.keywords})
            or (owner == "os.path" and name in OF_OS_PATH)
            or owner == "shutil"
        )
        if by_name:
            yield text, node.lineno


def test_no_file_is_opened_by_its_path() -> None:
    """What is not on the list goes through ``open_folder`` and its like, or is added with the reason."""
    found = [(path, text, line) for path in FILES for text, line in calls(path)]
    assert [] == [f"{path.relative_to(ROOT)}:{line}: {text}" for path, text, line in found if (path.name, text) not in ALLOWED]


def test_the_list_of_exceptions_has_no_more_than_is_needed() -> None:
    """An entry that nothing needs would let the next call through."""
    found = {(path.name, text) for path in FILES for text, _line in calls(path)}
    assert set() == set(ALLOWED) - found


def test_the_rule_sees_every_way_to_a_file(tmp_path: Path) -> None:
    """Each of these lines is found, and none of the ways through a descriptor."""
    by_name = [
        "open(p)",
        "Path(p).open()",
        "Path(p).read_text()",
        "Path(p, q).write_bytes(b'')",
        "p.unlink()",
        "p.iterdir()",
        "(p / 'x').exists()",
        "os.open(p, os.O_RDONLY | os.O_NOFOLLOW)",
        "os.stat(p)",
        "os.path.exists(p)",
        "shutil.rmtree(p)",
        "Path(p).replace(q)",
    ]
    through = [
        "os.open(p, 0, dir_fd=d)",
        "text.replace('a', 'b')",
        "folder.rename('a', folder, 'b')",
        "os.link(p, q, src_dir_fd=d, dst_dir_fd=d)",
    ]
    file = tmp_path / "x.py"
    file.write_text("\n".join([*by_name, *through]), encoding="utf-8")
    assert list(range(1, len(by_name) + 1)) == sorted(line for _text, line in calls(file))
