# SPDX-License-Identifier: MIT
"""
Every file that keyfleet reads or writes as root where the server's user can replace it: a link swapped in at any moment leads nowhere.

What is on this list is what tests/unit/test_safe_access.py finds no other way for. A step that comes to touch such a file gets a row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from keyfleet.core.host.file_entries import parse
from keyfleet.core.host.files import plan
from keyfleet.core.host.safe_paths import open_folder
from keyfleet.core.host.text_files import read_lines
from keyfleet.core.instance.config import forget_written, written_names
from keyfleet.core.instance.converge import carry_out, prepare
from keyfleet.core.instance.datafiles import DataFolder, Place
from keyfleet.core.instance.maxmemory import inspect_memory
from keyfleet.core.instance.model import Host, Instance
from keyfleet.core.instance.ownership import hand_over
from keyfleet.core.layout import Layout
from keyfleet.core.service.manager import tail
from support.swaps import KINDS, SECRET, UNPRIVILEGED, contents, each_moment, make_roots_files

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led where others may not go")]
DATA, LOG, RUN = "var/lib/keyfleet/cache", "var/log/keyfleet/cache", "run/keyfleet/cache"
RECORD = {"engine": "redis", "port": 7399, "bind": ["127.0.0.1"], "unix_socket": False, "applied": ["hz"]}


def host_of(layout: Layout) -> Host:
    """Return the host of a deployment."""
    return Host("redis", "/usr/bin/redis-server", "process", layout.root, 1.0)


def files(layout: Layout, **entry: object) -> None:
    """Do what the module redis_files does."""
    plan(parse([entry])).apply()


def purge(layout: Layout) -> object:
    """Remove a stopped instance with its data."""
    host = host_of(layout)
    return carry_out(host, *prepare(host, [Instance("cache", state="absent", purge=True)]))


def carry(layout: Layout) -> object:
    """Remove the file that carried the data over a restart."""
    with open_folder(layout.data_dir) as folder:
        return folder.remove("dump.rdb")


# What is done, and what the user swaps meanwhile.
TOUCHED: dict[str, tuple[Callable[[Layout], object], list[str]]] = {
    "read the server's own file": (written_names, [f"{DATA}/server.conf"]),
    "clean the server's own file": (lambda layout: forget_written(layout, {"hz"}), [f"{DATA}/server.conf"]),
    "seed the server's own file": (
        lambda layout: files(layout, path=layout.server_file, state="seed", content="", owner="nobody", mode="0600"),
        [f"{DATA}/server.conf"],
    ),
    "write a file": (lambda layout: files(layout, path=f"{layout.data_dir}/new", content="x", mode="0600"), [f"{DATA}/new"]),
    "make a folder": (lambda layout: files(layout, path=f"{layout.data_dir}/sub", state="directory", mode="0700"), [f"{DATA}/sub"]),
    "read what the server was started with": (lambda layout: read_lines(layout.started_file), [f"{RUN}/started.conf"]),
    "ask the supervisor": (lambda layout: host_of(layout).manager("cache").status(), [f"{RUN}/status.json"]),
    "read the end of the log": (lambda layout: tail(layout.log_file), [f"{LOG}/server.log"]),
    "list the data": (lambda layout: inspect_memory(host_of(layout), [Instance("cache")], 50).as_dict(), [f"{DATA}/appendonlydir"]),
    "remove what carried the data": (carry, [f"{DATA}/dump.rdb"]),
    "find data files": (lambda layout: DataFolder(layout.data_dir).inspect(), [f"{DATA}/dump.rdb", f"{DATA}/appendonlydir"]),
    "note the data files": (lambda layout: DataFolder(layout.data_dir).fingerprint(Place()), [f"{DATA}/dump.rdb"]),
    "give the data another name": (
        lambda layout: DataFolder(layout.data_dir).relocate(Place(), Place(dbfilename="other.rdb")),
        [f"{DATA}/dump.rdb", f"{DATA}/other.rdb"],
    ),
    "move a data file aside": (lambda layout: DataFolder(layout.data_dir).set_aside(rdb="dump.rdb"), [f"{DATA}/dump.rdb", f"{DATA}/kept"]),
    "remove what was kept": (lambda layout: DataFolder(layout.data_dir).forget_kept(), [f"{DATA}/kept"]),
    "give to another user": (
        lambda layout: hand_over(layout, (1, 1)),
        [f"{DATA}/dump.rdb", f"{DATA}/appendonlydir", f"{DATA}/appendonlydir/x", f"{LOG}/server.log", f"{RUN}/status.json"],
    ),
    "remove the instance": (purge, [f"{DATA}/appendonlydir", f"{DATA}/server.conf", f"{LOG}/server.log", f"{RUN}/status.json"]),
}


def deploy(root: Path) -> Layout:
    """Lay out a stopped instance of an unprivileged user."""
    layout = Layout(str(root), "cache")
    Path(layout.config_dir).mkdir(parents=True)
    Path(layout.config_file).write_text("port 7399\n", encoding="utf-8")
    Path(layout.record_file).write_text(json.dumps(RECORD), encoding="utf-8")
    for name in (f"{DATA}/server.conf", f"{DATA}/dump.rdb", f"{DATA}/appendonlydir/x", f"{LOG}/server.log", f"{RUN}/started.conf"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("hz 5\nport 7399\n", encoding="utf-8")
    (root / DATA / "dump.rdb").write_text("REDIS0010\n", encoding="utf-8")
    (root / RUN / "status.json").write_text('{"state": "stopped", "restarts": 0}', encoding="utf-8")
    for top in (DATA, LOG, RUN):
        for path in (root / top, *(root / top).rglob("*")):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    return layout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("what", "place"), [(what, place) for what, (_step, places) in TOUCHED.items() for place in places])
def test_a_link_swapped_in_leads_root_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, place: str, kind: str) -> None:
    """Before each system call: nothing of root's is changed, given away, removed, or shown in a result or an error."""
    step = TOUCHED[what][0]
    roots = make_roots_files(tmp_path / "roots")

    def make(number: int) -> Callable[[], object]:
        layout = deploy(tmp_path / str(number))
        return lambda: step(layout)

    before = contents(roots)
    for number, result in each_moment(monkeypatch, make, lambda number: tmp_path / str(number) / place, roots, kind):
        assert before == contents(roots), f"swapped before call {number}"
        assert SECRET.decode().strip() not in f"{result!r}{result}", f"swapped before call {number}"
        shown = [path for top in (DATA, LOG, RUN) for path in (tmp_path / str(number) / top).rglob("*") if path.is_file()]
        copies = [
            path for path in shown if not path.is_symlink() and not path.samefile(roots / "secret") and not path.samefile(roots / "below/x")
        ]
        assert [] == [path for path in copies if SECRET in path.read_bytes()], f"copied before call {number}"
