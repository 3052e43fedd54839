# SPDX-License-Identifier: MIT
"""Two names of one folder are seen, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.host.identity import identity_of, network_identity, shared_ports, twins


@pytest.mark.parametrize("rest", ["", "/new", "/new/deeper"])
def test_links_and_spellings_of_one_folder_are_equal(tmp_path: Path, rest: str) -> None:
    """Whether the folder is there or is yet to be made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    same = {identity_of(f"{tmp_path}/{name}{rest}") for name in ("real", "link", "real/.", "../" + tmp_path.name + "/real")}
    others = [identity_of(f"{tmp_path}{other}") for other in ("/real/other", "/new", "", "/real/new/other")]
    assert 1 == len(same)
    assert not same & set(others)
    assert len(others) == len(set(others))


def test_names_of_one_place_are_grouped() -> None:
    """In the order of the inventory; a place that is not known is like no other."""
    assert [["a", "c"], ["b", "e"]] == twins({"a": "1", "b": "2", "c": "1", "d": "3", "e": "2", "f": "", "g": ""})
    assert [] == twins({"a": "1", "b": "2"})
    assert [] == twins({})


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ((7000, ["127.0.0.1"]), (7000, ["-127.0.0.1", "::1"]), True),
        ((7000, ["127.0.0.1"]), (7000, ["127.0.0.2"]), False),
        ((7000, ["127.0.0.1"]), (7000, ["*"]), True),
        ((7000, ["127.0.0.1"]), (7000, ["::*"]), False),
        ((7000, ["::1"]), (7000, ["0:0:0:0:0:0:0:1"]), True),
        ((7000, ["::1"]), (7000, ["::"]), True),
        ((7000, ["127.0.0.1"]), (7001, ["127.0.0.1"]), False),
        ((0, ["127.0.0.1"]), (0, ["127.0.0.1"]), False),
    ],
)
def test_ports_of_one_machine_that_two_names_want_are_found(one: tuple[int, list[str]], two: tuple[int, list[str]], shared: bool) -> None:
    """Both names, both instances and the port are said; on two machines, or where the machine is not known, nothing is wrong."""
    listens = {host: [{"name": f"of-{host}", "port": port, "bind": bind}] for host, (port, bind) in (("a", one), ("b", two))}
    found = list(shared_ports({host: {"network": "x", "listens": listens[host]} for host in listens}))
    assert shared == (found != [])
    assert all(text.startswith("a (instance of-a) and b (instance of-b) are one machine, and both want port 7000") for text in found)
    for networks in (("x", "y"), ("", ""), ("x", "")):
        assert [] == list(
            shared_ports({host: {"network": network, "listens": listens[host]} for host, network in zip("ab", networks, strict=True)})
        )
    assert "" != network_identity() == network_identity()
