# SPDX-License-Identifier: MIT
"""Files in folders of another user: what is followed, and that no link swapped in at any moment leads root elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from keyfleet.core.errors import RefusedError
from keyfleet.core.host.safe_paths import names_in, open_folder, read_bytes, remove_file, remove_tree, replace_file, status_of
from support.swaps import SECRET, UNPRIVILEGED, contents, each_moment, make_roots_files

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led where others may not go")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of this user, with files that another user wants."""
    return make_roots_files(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of another user, with a file and a folder."""
    folder = tmp_path / "theirs"
    for path in (folder, folder / "below"):
        path.mkdir()
        (path / "x").write_bytes(b"x")
        os.chown(path / "x", UNPRIVILEGED, UNPRIVILEGED)
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    return folder


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    """Content changes by rename; a new file is private."""
    path = tmp_path / "x"
    replace_file(str(path), b"1")
    assert (b"1", 0o600) == (read_bytes(str(path)), stat.S_IMODE(path.stat().st_mode))
    path.chmod(0o640)
    before = path.stat().st_ino
    replace_file(str(path), b"2")
    assert (b"2", 0o640, False) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), before == path.stat().st_ino)
    assert ["x"] == names_in(str(tmp_path))


def test_a_draft_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Neither half a file nor the draft stays."""
    (tmp_path / "x").write_bytes(b"old")
    with open_folder(str(tmp_path)) as folder, pytest.raises(OSError, match="full"), folder.draft("x") as file:
        file.write(b"new")
        raise OSError("full")
    assert {"x": b"old"} == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_what_is_missing_is_said_or_nothing(tmp_path: Path) -> None:
    """Removing and listing what is not there does nothing; reading it is an error."""
    gone = str(tmp_path / "none" / "x")
    assert (False, False, [], None) == (remove_file(gone), remove_tree(gone), names_in(gone), status_of(gone))
    with pytest.raises(FileNotFoundError):
        read_bytes(gone)


def test_links_of_the_operator_on_the_way_are_followed(tmp_path: Path) -> None:
    """Absolute ones, relative ones with '..', and chains; the last component is not."""
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "disk" / "data" / "x").write_bytes(b"1")
    (tmp_path / "a").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "b").symlink_to("../a/data")
    assert b"1" == read_bytes(str(tmp_path / "a" / "b" / "x"))
    (tmp_path / "y").symlink_to("disk/data/x")
    with pytest.raises(RefusedError, match="is a symbolic link"):
        read_bytes(str(tmp_path / "y"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        names_in(str(tmp_path / "loop" / "x"))


def test_copies_links_and_trees(tmp_path: Path) -> None:
    """What the name says, by descriptors."""
    with open_folder(str(tmp_path)) as folder, folder.make_folder("kept", 0o750) as kept:
        folder.replace("x", b"1" * 3_000_000)
        folder.copy("x", kept, "copy")
        folder.link("x", kept, "link")
        folder.rename("x", kept, "moved")
        assert ["copy", "link", "moved"] == kept.names()
        assert (True, False) == (
            (tmp_path / "kept/link").samefile(tmp_path / "kept/moved"),
            (tmp_path / "kept/copy").samefile(tmp_path / "kept/link"),
        )
        assert 0 < folder.free_bytes()
        with pytest.raises(FileExistsError):
            kept.link("copy", kept, "link")
        assert folder.remove_tree("kept")
        assert [] == folder.names()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    """What takes a name cannot be led out of the folder with it."""
    with open_folder(str(tmp_path)) as folder:
        for step in (folder.read, folder.remove, folder.status, folder.folder, folder.remove_tree):
            with pytest.raises(ValueError, match="not the name"):
                step(name)


@as_root
def test_nothing_is_followed_in_a_folder_of_another_user(ours: Path, theirs: Path) -> None:
    """Not even a link that belongs to root: the other user may have moved it there."""
    (theirs / "link").symlink_to(ours)
    for step in (names_in, read_bytes, status_of, remove_file, remove_tree):
        with pytest.raises(RefusedError, match="not followed"):
            step(str(theirs / "link" / "x"))
    os.chown(theirs / "link", UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)
    with pytest.raises(RefusedError, match="not followed"):
        names_in(str(theirs / "link"))
    with pytest.raises(RefusedError, match=r"'\.\.' is not followed"):
        names_in(str(theirs / "below" / ".." / "x"))


@as_root
def test_a_hard_link_to_a_file_of_root_is_not_read(ours: Path, theirs: Path) -> None:
    """The content must not come out in a copy or an error; writing replaces the name alone, and the other user's file is its own."""
    (theirs / "hard").hardlink_to(ours / "secret")
    with pytest.raises(RefusedError, match="hard link"):
        read_bytes(str(theirs / "hard"))
    (ours / "secret").chmod(0o4755)
    before = contents(ours)
    replace_file(str(theirs / "hard"), b"mine")
    status = (theirs / "hard").stat()
    assert (UNPRIVILEGED, 0o755, 1) == (status.st_uid, stat.S_IMODE(status.st_mode), status.st_nlink)
    assert {**before, str(ours / "secret"): (0, 0o104755, SECRET)} == contents(ours)


@as_root
def test_a_device_or_a_pipe_is_not_read(theirs: Path) -> None:
    """Reading does not wait for a writer, either."""
    os.mkfifo(theirs / "pipe")
    with pytest.raises(RefusedError, match="is not a file"):
        read_bytes(str(theirs / "pipe"))


@as_root
def test_a_sticky_folder_is_ours_and_one_that_all_may_write_is_not(tmp_path: Path) -> None:
    """In /tmp no user can replace the link of another; without the sticky bit anyone can."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "shared" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "shared").chmod(0o1777)
    assert [] == names_in(str(tmp_path / "shared" / "link"))
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(RefusedError, match="not followed"):
        names_in(str(tmp_path / "shared" / "link"))


def test_a_tree_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    """Its owner could exhaust descriptors or the stack with it; one of a hundred folders is removed."""
    deepest = [tmp_path.joinpath(str(number), *["x"] * number) for number in (99, 101)]
    for path in deepest:
        path.mkdir(parents=True)
    assert remove_tree(str(tmp_path / "99"))
    with pytest.raises(RefusedError, match="100 folders deep"):
        remove_tree(str(tmp_path / "101"))
    assert deepest[1].exists()


def _read(path: str) -> object:
    return read_bytes(path)


def _replace(path: str) -> None:
    replace_file(path, b"new")


def _copy(path: str) -> object:
    with open_folder(str(Path(path).parent)) as folder:
        folder.copy(Path(path).name, folder, "copy")
    return (Path(path).parent / "copy").read_bytes()


def _link(path: str) -> object:
    with open_folder(str(Path(path).parent)) as folder:
        folder.link(Path(path).name, folder, "second")
    return (Path(path).parent / "second").read_bytes()


def _own(path: str) -> None:
    with open_folder(str(Path(path).parent)) as folder:
        folder.own(Path(path).name, (UNPRIVILEGED - 1, UNPRIVILEGED - 1))


def _tree(path: str) -> None:
    remove_tree(str(Path(path).parent))


STEPS: list[Callable[[str], object]] = [_read, _replace, _copy, _link, _own, _tree, remove_file, status_of]


@as_root
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__.strip("_"))
@pytest.mark.parametrize(("what", "kind"), [("below/x", "symbolic"), ("below/x", "hard"), ("below", "symbolic")])
def test_a_swap_before_any_system_call_leads_nowhere(
    tmp_path: Path, ours: Path, monkeypatch: pytest.MonkeyPatch, step: Callable[[str], object], what: str, kind: str
) -> None:
    """Whatever the other user puts in the place of a file, or of its folder, at any moment: root's files stay, and none is read."""

    def make(number: int) -> Callable[[], object]:
        target = tmp_path / f"theirs{number}" / "below" / "x"
        target.parent.mkdir(parents=True)
        target.write_bytes(b"x")
        for path in (target, target.parent, target.parent.parent):
            os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        return lambda: step(str(target))

    before = contents(ours)
    for number, result in each_moment(monkeypatch, make, lambda number: tmp_path / f"theirs{number}" / what, ours, kind):
        assert before == contents(ours), f"swapped before call {number}"
        assert SECRET != result, f"swapped before call {number}"
