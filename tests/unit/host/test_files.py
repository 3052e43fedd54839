# SPDX-License-Identifier: MIT
"""Planning and writing of files; the module itself is run in tests/integration/host/test_redis_files.py."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.errors import FilesError, RefusedError
from keyfleet.core.host.file_entries import FileEntry, parse
from keyfleet.core.host.files import plan

UNPRIVILEGED = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def entry(path: Path, content: str = "x\n", **options: object) -> FileEntry:
    """Return an entry for a file."""
    return parse([{"path": str(path), "content": content, "mode": "0640", **options}])[0]


def mode_of(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"path": "etc/x"}, "must be absolute"),
        ({"path": "/etc/../x"}, "must be absolute"),
        ({"path": "/etc/x/"}, "must be absolute"),
        ({"mode": None}, "found None"),
        ({"mode": "416"}, "found '416'"),
        ({"mode": "u=rw"}, "found 'u=rw'"),
        ({"content": None}, "needs one of content and secret_content"),
        ({"secret_content": "y"}, "needs one of content and secret_content"),
        ({"state": "link", "content": None, "mode": None}, "needs target"),
        ({"state": "directory"}, "does not take content"),
        ({"state": "absent", "content": None}, "does not take mode"),
        ({"recurse": True}, "does not take recurse"),
    ],
)
def test_a_wrong_option_is_refused_with_path_and_value(options: dict[str, object], problem: str) -> None:
    """What an entry does not say or says wrongly is named before anything is read."""
    with pytest.raises(RefusedError) as raised:
        parse([{"path": "/etc/x", "content": "x", "mode": "0640", **options}])

    assert problem in str(raised.value)
    assert str(raised.value).startswith(str(options.get("path", "/etc/x")))


def test_all_problems_are_named_at_once() -> None:
    """One run shows every mistake."""
    with pytest.raises(RefusedError) as raised:
        parse(
            [
                {"path": "/a", "content": "x"},
                {"path": "/b", "mode": "0640"},
                {"path": "/c", "state": "absent"},
                {"path": "/c", "state": "absent"},
            ]
        )

    assert ["/a:", "/b:", "/c: listed more than once"] == [
        part for part in ("/a:", "/b:", "/c: listed more than once") if part in str(raised.value)
    ]


def test_the_repr_of_an_entry_has_no_content() -> None:
    """Content may be secret, and repr ends in tracebacks."""
    assert "s3cret" not in repr(parse([{"path": "/x", "secret_content": "s3cret", "mode": "0600"}]))


def test_a_file_is_made_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    """The mode is exactly the desired one, and no draft stays."""
    before = os.umask(0o077)
    try:
        plan([entry(tmp_path / "a", mode="0664")]).apply()
    finally:
        os.umask(before)

    assert (0o664, "x\n", ["a"]) == (mode_of(tmp_path / "a"), (tmp_path / "a").read_text(), [found.name for found in tmp_path.iterdir()])


def test_a_second_plan_has_no_change(tmp_path: Path) -> None:
    """Files, directories, seeds, links and absent paths are all recognised as done."""
    entries = parse(
        [
            {"path": str(tmp_path / "d"), "state": "directory", "mode": "0750"},
            {"path": str(tmp_path / "d/f"), "content": "x", "mode": "0640"},
            {"path": str(tmp_path / "d/s"), "state": "seed", "content": "y", "mode": "0600"},
            {"path": str(tmp_path / "d/l"), "state": "link", "target": "f"},
            {"path": str(tmp_path / "d/n"), "state": "absent"},
        ]
    )
    first = plan(entries)
    first.apply()

    assert [str(tmp_path / name) for name in ("d", "d/f", "d/s", "d/l")] == first.changed_paths
    assert [] == plan(entries).changed_paths


def test_a_mode_or_content_that_differs_is_a_change(tmp_path: Path) -> None:
    """Each is enough, and both are put right."""
    path = tmp_path / "a"
    plan([entry(path)]).apply()
    path.chmod(0o666)
    by_mode = plan([entry(path)])
    by_mode.apply()
    by_content = plan([entry(path, "y\n")])
    by_content.apply()

    assert ([str(path)], [str(path)]) == (by_mode.changed_paths, by_content.changed_paths)
    assert (0o640, "y\n") == (mode_of(path), path.read_text())


def test_a_seed_that_is_there_is_kept(tmp_path: Path) -> None:
    """Its content, mode and owner belong to the program that writes it."""
    path = tmp_path / "server.conf"
    path.write_text("rewritten\n")
    path.chmod(0o644)

    assert [] == plan([entry(path, "", state="seed", mode="0600", owner="no-such-user")], check=True).changed_paths
    assert [] == plan([entry(path, "", state="seed", mode="0600")]).changed_paths


def state_of(path: Path) -> tuple[object, ...]:
    """Return what is at a path."""
    if not os.path.lexists(path):
        return ("absent",)
    content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else sorted(path.iterdir())
    return stat.S_IFMT(path.lstat().st_mode), mode_of(path), content


@given(st.lists(st.tuples(st.sampled_from(["file", "seed", "directory", "link", "absent"]), st.booleans()), min_size=1, max_size=5))
def test_two_that_planned_the_same_both_succeed(wanted: list[tuple[str, bool]]) -> None:
    """As two hosts whose files share a folder on the controller: each entry is what one alone makes of it, whatever was there before."""
    with tempfile.TemporaryDirectory() as folder:
        options = []
        for number, (state, is_there) in enumerate(wanted):
            path = Path(folder, str(number))
            own = {"file": {"content": "x", "mode": "0640"}, "directory": {"mode": "0750"}, "link": {"target": "/x"}}
            own["seed"] = {"content": "x", "mode": "0640"}
            options.append({"path": str(path), "state": state, **own.get(state, {})})
            if is_there and state == "directory":
                path.mkdir()
            elif is_there and state == "link":
                path.symlink_to("/other")
            elif is_there:
                path.write_text("before")
        entries = parse(options)
        first, second = plan(entries), plan(entries)
        first.apply()
        once = [state_of(Path(entry.path)) for entry in entries]
        second.apply()
        assert once == [state_of(Path(entry.path)) for entry in entries]
        assert [] == plan(entries).changed_paths


def test_a_seed_that_came_after_the_plan_is_kept(tmp_path: Path) -> None:
    """It belongs to whoever made it, as the server's own file."""
    planned = plan(parse([{"path": str(tmp_path / "own.conf"), "content": "ours", "mode": "0640", "state": "seed"}]))
    (tmp_path / "own.conf").write_text("theirs")
    planned.apply()
    assert "theirs" == (tmp_path / "own.conf").read_text()


def test_hard_links_of_a_file_keep_the_old_content(tmp_path: Path) -> None:
    """A file is replaced, not written into, so another link cannot redirect the write."""
    path, other = tmp_path / "a", tmp_path / "b"
    plan([entry(path)]).apply()
    os.link(path, other)
    plan([entry(path, "new\n")]).apply()

    assert ("new\n", "x\n") == (path.read_text(), other.read_text())


@pytest.mark.parametrize("state", ["file", "seed", "directory"])
def test_a_symbolic_link_is_neither_followed_nor_replaced(tmp_path: Path, state: str) -> None:
    """Whoever planted it does not choose what is written."""
    victim, path = tmp_path / "victim", tmp_path / "a"
    (victim.mkdir if state == "directory" else victim.touch)()
    path.symlink_to(victim)
    content = {} if state == "directory" else {"content": "x"}
    with pytest.raises(RefusedError) as raised:
        plan(parse([{"path": str(path), "state": state, "mode": "0600", **content}]))

    assert "a link is there" in str(raised.value)


def test_a_link_points_elsewhere_after_a_change_and_absent_removes_the_link_alone(tmp_path: Path) -> None:
    """Links are replaced by rename, and never followed when they go."""
    path, target = tmp_path / "l", tmp_path / "t"
    target.write_text("stays")
    for desired in ("elsewhere", "t"):
        plan(parse([{"path": str(path), "state": "link", "target": desired}])).apply()
    assert Path("t") == path.readlink()
    plan(parse([{"path": str(path), "state": "absent"}])).apply()

    assert (False, "stays") == (path.is_symlink(), target.read_text())


def test_nothing_is_written_if_one_entry_is_refused(tmp_path: Path) -> None:
    """All entries are inspected first."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(RefusedError) as raised:
        plan([entry(tmp_path / "a"), entry(tmp_path / "taken"), entry(tmp_path / "none/b"), entry(tmp_path / "c", owner="no-such-user")])

    assert ["taken: a directory is there", "none/b: its folder", "c: this host knows no user 'no-such-user'"] == [
        text
        for text in ("taken: a directory is there", "none/b: its folder", "c: this host knows no user 'no-such-user'")
        if text in str(raised.value)
    ]
    assert ["taken"] == [found.name for found in tmp_path.iterdir()]


def test_a_check_leaves_open_what_a_package_will_bring(tmp_path: Path) -> None:
    """A missing owner or folder is unknown, and counts as a change."""
    found = plan([entry(tmp_path / "a", group="no-such-group"), entry(tmp_path / "none/b"), entry(tmp_path / "c")], check=True)

    assert ((str(tmp_path / "a"), str(tmp_path / "none/b")), 3) == (found.unknown, len(found.changed_paths))


def test_a_folder_with_contents_goes_only_by_recursion(tmp_path: Path) -> None:
    """Data is not removed by accident."""
    (tmp_path / "d/e").mkdir(parents=True)
    with pytest.raises(RefusedError) as raised:
        plan(parse([{"path": str(tmp_path / "d"), "state": "absent"}]))
    plan(parse([{"path": str(tmp_path / "d"), "state": "absent", "recurse": True}])).apply()

    assert ("recurse removes it" in str(raised.value), []) == (True, list(tmp_path.iterdir()))


@pytest.mark.parametrize("path", ["/", "/etc"])
def test_the_root_and_the_folders_below_it_are_never_removed(tmp_path: Path, path: str) -> None:
    """Not even by way of a link to the root."""
    (tmp_path / "root").symlink_to("/")
    for name in (path, f"{tmp_path}/root{path}".rstrip("/")):
        absent = parse([{"path": name, "state": "absent", "recurse": True}])
        if Path(name).is_symlink():
            continue  # the link itself may go
        with pytest.raises(RefusedError):
            plan(absent)


def test_a_failure_names_what_was_done_before_it(tmp_path: Path) -> None:
    """The caller can say truthfully what changed."""
    planned = plan([entry(tmp_path / "a"), entry(tmp_path / "d/b"), entry(tmp_path / "c")] if (tmp_path / "d").mkdir() is None else [])
    (tmp_path / "d").rmdir()
    with pytest.raises(FilesError) as raised:
        planned.apply()

    assert (str(tmp_path / "d/b"), (str(tmp_path / "a"),)) == (raised.value.path, raised.value.changed_paths)


def test_diffs_show_content_and_attributes_and_hide_what_is_secret(tmp_path: Path) -> None:
    """Owner and mode are shown either way; secret content never is."""
    open_path, secret_path = tmp_path / "open", tmp_path / "secret"
    entries = parse(
        [
            {"path": str(open_path), "content": "new\n", "mode": "0640"},
            {"path": str(secret_path), "secret_content": "new SECRET\n", "mode": "0600"},
        ]
    )
    open_path.write_text("old\n")
    open_path.chmod(0o600)
    secret_path.write_text("old SECRET\n")
    shown = [diff for change in plan(entries).changes for diff in change.diffs()]

    assert ("old\n", "new\n") == (shown[0]["before"], shown[0]["after"])
    assert ("mode 0600", "mode 0640") == (shown[1]["before"].splitlines()[-1], shown[1]["after"].splitlines()[-1])
    assert "SECRET" not in str(shown)
    assert ("(content hidden, old)\n", "(content hidden, new)\n") == (shown[2]["before"], shown[2]["after"])


@as_root
def test_root_gives_files_to_others_and_keeps_their_owner(tmp_path: Path) -> None:
    """An owner that is not named stays when the content changes."""
    path = tmp_path / "a"
    plan([entry(path, owner=str(UNPRIVILEGED), group="0")]).apply()
    plan([entry(path, "y\n")]).apply()

    assert (UNPRIVILEGED, 0, "y\n") == (path.stat().st_uid, path.stat().st_gid, path.read_text())


def test_an_ordinary_user_is_refused_what_only_root_can_do(tmp_path: Path) -> None:
    """In a check too, so that it predicts the real run."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3] / "python_lib")!r})
from keyfleet.core.host.file_entries import parse
from keyfleet.core.host.files import plan
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({UNPRIVILEGED}); os.setuid({UNPRIVILEGED})
for options in ({{"owner": "root"}}, {{"group": "0"}}, {{}}):
    try:
        plan(parse([{{"path": "/etc/keyfleet-test", "content": "x", "mode": "0644", **options}}]), check=True)
    except Exception as error:
        print(error)
"""
    lines = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()

    assert "only root can give it to user 'root'" in lines[0]
    assert "only root can give it to group '0'" in lines[1]
    assert "may not write in /etc" in lines[2]


@as_root
@pytest.mark.parametrize("options", [{}, {"state": "directory", "content": None}, {"state": "absent", "content": None, "mode": None}])
def test_a_folder_of_another_user_may_not_be_a_link(tmp_path: Path, options: dict[str, object]) -> None:
    """Root writes nothing behind a link that another user can place, also when it appears after the plan."""
    folder, target = tmp_path / "theirs", tmp_path / "target"
    for path in (folder, folder / "below", target):
        path.mkdir()
    (target / "x").touch()
    (folder / "below" / "x").touch()
    os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
    made = plan([entry(folder / "below" / ("x" if options.get("state") != "directory" else "y"), **options)])
    (folder / "below").rename(folder / "away")
    (folder / "below").symlink_to(target)
    with pytest.raises(RefusedError, match="not followed"):
        made.apply()
    assert [(target / "x", "")] == [(path, path.read_text()) for path in target.iterdir()]
