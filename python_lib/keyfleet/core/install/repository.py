# SPDX-License-Identifier: MIT
"""
An apt repository for the packages of the engine, and for no others: its source, its key, its pin.

A new one is tried in private first: apt reads it with its key in a temporary folder, so that nothing of the host is touched by one that
cannot be reached, is signed by another key, or does not have the packages.

Source:
    sources.list(5), deb822 style; apt_preferences(5); apt-get(8) indextargets; dpkg(1) --compare-versions.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import RefusedError
from ..host.commands import PROXIES, run
from ..host.file_entries import FileEntry, parse
from ..host.files import FilePlan, plan
from .package import Package, installed_version

APT_DIR = "/etc/apt"
HEADER = "# Ansible managed: module redis_repo of keyfleet.redis\n"
APT_SECONDS = 300.0
# A pin that takes these for the repository would keep every other package of the distribution from the host.
DISTRIBUTIONS = ("debian", "ubuntu")


@dataclass(frozen=True)
class Repository:
    """
    The repository as it shall be.

    Attributes:
        engine: Part of the names of the files.
        packages: What may come from it; the first one has the version that counts.
        uri, suite, components: As in a source of apt; a suite that ends with ``/`` is a flat repository, which has no components.
        key: Public keys that sign it, ASCII-armored.
        version: Exact version of the packages; empty for what is installed, or else the newest.
        apt_dir: Where apt has its configuration.
    """

    engine: str
    packages: tuple[str, ...]
    uri: str
    suite: str
    components: tuple[str, ...]
    key: str = field(repr=False)
    version: str = ""
    apt_dir: str = APT_DIR

    @property
    def site(self) -> str:
        """Return the address as apt prints it."""
        return self.uri.rstrip("/")


@dataclass(frozen=True)
class RepositoryPlan:
    """
    What was found.

    Attributes:
        files: What is to be written.
        install: Version to install; empty where what is installed stays.
        offered: Versions of the repository, the newest first; empty where it did not have to be asked.
    """

    files: FilePlan
    install: str = ""
    offered: tuple[str, ...] = ()


def absent(engine: str, apt_dir: str = APT_DIR) -> FilePlan:
    """Return what removes the repository of an engine; its packages stay."""
    return plan(parse([{"path": path, "state": "absent"} for path in repository_files(engine, apt_dir)]))


def plan_repository(desired: Repository) -> RepositoryPlan:
    """
    Compare the host with the desired repository, and try the repository where something is to come from it.

    Raises:
        RefusedError: if it cannot be used; nothing was touched.
    """
    pin = _pin_on_file(desired)
    installed = installed_version(Package("", "", desired.packages[0]))
    offered: tuple[str, ...] = ()
    install = ""
    if (
        not pin
        or not installed
        or desired.version not in ("", installed)
        or (not desired.version and _comes_from_elsewhere(desired, installed))
    ):
        fields, offered = _tried(desired)
        pin = _pin_of(desired, fields)
        install = _choice(desired, installed, offered)
    return RepositoryPlan(plan(_entries(desired, pin)), install, offered)


def source_text(desired: Repository, key_file: str) -> str:
    """Return the source in apt's deb822 style."""
    components = f"Components: {' '.join(desired.components)}\n" if desired.components else ""
    return f"{HEADER}Types: deb\nURIs: {desired.uri}\nSuites: {desired.suite}\n{components}Signed-By: {key_file}\n"


def preferences_text(packages: Iterable[str], pin: str, version: str = "") -> str:
    """
    Return the pins: the packages are preferred to those of other sources and never downgraded; nothing else is taken.

    Args:
        version: The only one that may come, so that no upgrade of the system moves it either; empty for the newest.
    """
    wanted = f"version {version}" if version else f"release {pin}"
    return f"{HEADER}Package: {' '.join(packages)}\nPin: {wanted}\nPin-Priority: 990\n\nPackage: *\nPin: release {pin}\nPin-Priority: -1\n"


def _entries(desired: Repository, pin: str) -> list[FileEntry]:
    key_file, source_file, preferences_file = repository_files(desired.engine, desired.apt_dir)
    return parse(
        [
            {"path": str(Path(key_file).parent), "state": "directory", "mode": "0755"},
            {"path": key_file, "content": desired.key.strip() + "\n", "mode": "0644"},
            # The pin comes before the source, so that at no time something else could be taken from it.
            {"path": preferences_file, "content": preferences_text(desired.packages, pin, desired.version), "mode": "0644"},
            {"path": source_file, "content": source_text(desired, key_file), "mode": "0644"},
        ]
    )


def _pin_on_file(desired: Repository) -> str:
    """Return the pin of this very repository, if it was set up earlier; else an empty text."""
    key_file, source_file, preferences_file = repository_files(desired.engine, desired.apt_dir)
    try:
        texts = [Path(path).read_text(encoding="utf-8") for path in (key_file, source_file, preferences_file)]
    except (OSError, UnicodeDecodeError):
        return ""
    if texts[:2] != [desired.key.strip() + "\n", source_text(desired, key_file)]:
        return ""
    return next((line.partition(" release ")[2] for line in texts[2].splitlines() if line.startswith("Pin: release ")), "")


def _pin_of(desired: Repository, fields: Mapping[str, str]) -> str:
    """Return what distinguishes the repository from all other sources of the host: Origin and Label of its Release file."""
    found = {short: fields[name] for short, name in (("o", "Origin"), ("l", "Label")) if fields.get(name)}
    said = ", ".join(f"{name} {fields.get(name, '')!r}" for name in ("Origin", "Label"))
    advice = "have its maker put another Origin or Label into its Release file"
    if not found or any("," in value for value in found.values()):
        raise RefusedError(f"{desired.uri} {desired.suite} cannot be pinned by its Release file ({said}): {advice}")
    if found.get("o", "").lower() in DISTRIBUTIONS:
        raise RefusedError(f"{desired.uri} {desired.suite} calls itself the distribution ({said}), which a pin would shut out: {advice}")
    source_file = repository_files(desired.engine, desired.apt_dir)[1]
    for other in _targets():
        if other.get("Sourcesentry", "").startswith(f"{source_file}:"):
            continue
        place = other.get("Sourcesentry", "another source").partition(":")[0]
        if (other.get("Repo-URI", "").rstrip("/"), other.get("Release")) == (desired.site, desired.suite):
            raise RefusedError(
                f"{desired.uri} {desired.suite} is set up in {place} already, and apt takes no source twice: remove it there"
            )
        if found == {short: other[name] for short, name in (("o", "Origin"), ("l", "Label")) if other.get(name)}:
            raise RefusedError(
                f"apt could not distinguish {desired.uri} {desired.suite} from the source {place} ({said} in both): {advice}"
            )
    return ",".join(f"{short}={value}" for short, value in found.items())


def _choice(desired: Repository, installed: str, offered: Sequence[str]) -> str:
    """Return the version to install; empty where what is installed stays."""
    package = desired.packages[0]
    if installed and (installed == desired.version or (not desired.version and installed in offered)):
        return ""
    if desired.version and desired.version not in offered:
        raise RefusedError(
            f"redis_server_version is {desired.version!r}: {desired.uri} {desired.suite} offers {package} {', '.join(offered)}"
        )
    chosen = desired.version or offered[0]
    if installed and run(["dpkg", "--compare-versions", chosen, "lt", installed]).returncode == 0:
        raise RefusedError(
            f"{package} {installed} is installed, and {chosen} of {desired.uri} {desired.suite} is older, which apt does not install over "
            "it: go back by hand (apt-get install --allow-downgrades), or take a newer version"
        )
    return chosen


def _comes_from_elsewhere(desired: Repository, installed: str) -> bool:
    """Return whether another source has the installed version and this one has not: a run was interrupted before it came from here."""
    places = [place for version, place in _versions(desired.packages[0]) if version == installed]
    return bool(places) and not any(place.startswith(f"{desired.site} {desired.suite}") for place in places)


def _versions(package: str, options: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the versions that apt knows of a package, the newest first, each with the source that has it."""
    lines = [[word.strip() for word in line.split("|")] for line in run(["apt-cache", *options, "madison", package]).stdout.splitlines()]
    return [(line[1], line[2]) for line in lines if len(line) == 3 and line[2].endswith("Packages")]


def _targets(options: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Yield what apt knows of each list of packages that it has fetched."""
    for stanza in run(["apt-get", *options, "indextargets", "Created-By: Packages"]).stdout.strip().split("\n\n"):
        if stanza:
            yield dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)


def _tried(desired: Repository) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fetch the lists of the repository in private; return what its Release file says, and the versions that it offers."""
    with _private_apt(desired) as options:
        done = run(["apt-get", "-qq", *options, "update"], APT_SECONDS, inherit=PROXIES)
        said = " ".join(line for line in done.stderr.splitlines() if line[:2] in ("E:", "W:"))
        if "is not signed" in said or "GPG error" in said:
            raise RefusedError(f"redis_server_repo_key is not the key that signs {desired.uri} {desired.suite}; apt says: {said}")
        fields = next(_targets(options), None)
        offered = [{version for version, _place in _versions(package, options)} for package in desired.packages]
        newest = [version for version, _place in _versions(desired.packages[0], options)]
    if fields is None:
        raise RefusedError(f"redis_server_repo_uri: apt cannot use {desired.uri} {desired.suite}: {said or 'it has no Release file'}")
    lacking = [package for package, versions in zip(desired.packages, offered) if not versions]
    if lacking:
        raise RefusedError(
            f"{desired.uri} {' '.join([desired.suite, *desired.components])} does not have {', '.join(lacking)}. {said}".rstrip(" .")
        )
    return fields, tuple(version for version in newest if all(version in versions for versions in offered))


@contextlib.contextmanager
def _private_apt(desired: Repository) -> Iterator[list[str]]:
    """Yield options with which apt knows this repository alone, in a temporary folder; the host's proxies and logins hold."""
    with tempfile.TemporaryDirectory(prefix="keyfleet-apt-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - apt gives up root before it reads the key
        for name in ("sources", "lists/partial", "cache/archives/partial"):
            Path(folder, name).mkdir(parents=True)
        key_file = Path(folder, "key.asc")
        key_file.write_text(desired.key.strip() + "\n", encoding="utf-8")
        Path(folder, "sources/desired.sources").write_text(source_text(desired, str(key_file)), encoding="utf-8")
        for path in (key_file, *Path(folder).rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        settings = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": f"{folder}/sources",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": f"{folder}/none",
            "Dir::State::lists": f"{folder}/lists",
            "Dir::Cache": f"{folder}/cache",
            "Acquire::Languages": "none",
        }
        yield [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def repository_files(engine: str, apt_dir: str = APT_DIR) -> tuple[str, str, str]:
    """Return where key, source and pin of the apt repository of an engine are."""
    return (
        f"{apt_dir}/keyrings/keyfleet-{engine}.asc",
        f"{apt_dir}/sources.list.d/keyfleet-{engine}.sources",
        f"{apt_dir}/preferences.d/keyfleet-{engine}.pref",
    )
