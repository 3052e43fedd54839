# SPDX-License-Identifier: MIT
"""Which profiles a host has, what they hold, and which of those that are there are stale; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Optional

from .forms import ENDINGS, Profile, form_files
from .names import Owner, env_path, marked_owner, stem_of
from .validation import applies
from .values import profile_text, profile_values, profile_variable

FORM_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)
_ADDRESS = ("REDIS_HOST=", "REDIS_PORT=", "REDIS_URL=", "REDIS_CLUSTER_NODES=", "REDIS_SENTINELS=", "REDIS_SENTINEL_SERVICE=")


@dataclass(frozen=True)
class Desired:
    """
    What the variables of the role redis_endpoint say of one host.

    Attributes:
        deployment: Name of the deployment.
        host: Name of the host, part of the names of the files; empty for servers that no host of the inventory runs.
        hosts: All hosts of the inventory that may have profiles; empty if they are not known.
        path: Folder, base and ending of the env files, such as ``/x/redis.env``.
        folder: Of the further forms.
        instances: As for ``profile.profile_values``, each with its ``name``.
        absent: Names of instances that are gone.
        kept: Names of instances that run and are not listed.
        knows_all: Whether instances, absent and kept are all that the host has, so that profiles of others are stale.
        forms, users, key_prefix, secret_arns: As in the role.
        ca: Certificates that applications trust, in PEM form; empty while not known.
    """

    deployment: str
    host: str
    hosts: Sequence[str]
    path: PurePosixPath
    folder: PurePosixPath
    instances: Sequence[Mapping[str, Any]]
    absent: Sequence[str] = ()
    kept: Sequence[str] = ()
    knows_all: bool = False
    forms: Sequence[str] = ()
    users: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    key_prefix: str = ""
    secret_arns: Mapping[str, str] = field(default_factory=dict)
    ca: str = field(default="", repr=False)

    @property
    def is_only_host(self) -> bool:
        """Whether an earlier version put no host into the names of files."""
        return list(self.hosts) == [self.host]

    def is_env_file(self, path: str) -> bool:
        """Return whether a file is an env file by its place and ending, and no further form."""
        folder = PurePosixPath(path).parent
        return folder == self.path.parent and not (folder == self.folder and path.endswith(FORM_ENDINGS))

    def path_of(self, owner: Owner, ending: str = "") -> str:
        """Return where a file of a profile is; the env file without *ending*."""
        return str(self.folder / (stem_of(self.path.stem, owner) + ending)) if ending else env_path(str(self.path), owner)


@dataclass(frozen=True)
class ProfileFile:
    """
    One file as it shall be.

    Attributes:
        content: None if there shall be none.
        secret: Whether it holds a password.
    """

    path: str
    content: Optional[str] = field(default=None, repr=False)
    secret: bool = False


@dataclass(frozen=True)
class ProfilePlan:
    """
    What to write and to remove.

    Attributes:
        files: What is removed is among them; the env file of a profile comes last.
        notes: Sentences about files that are kept and that the operator should know of.
    """

    files: tuple[ProfileFile, ...]
    notes: tuple[str, ...]


def candidates(desired: Desired, names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """
    Yield the paths that may be profiles of the deployment, by their names.

    Args:
        names: Of the files in the folders of *desired*, by folder.
    """
    endings: dict[str, list[str]] = {str(desired.folder): [*FORM_ENDINGS]}
    endings.setdefault(str(desired.path.parent), []).append(desired.path.suffix)
    for folder, known in endings.items():
        for name in names.get(folder, ()):
            if name.startswith(desired.path.stem) and name.endswith(tuple(known)):
                yield str(PurePosixPath(folder, name))


def foreign_problems(desired: Desired, texts: Mapping[str, str]) -> list[str]:
    """
    Return which files are in the place of a profile and are not the deployment's, which are never overwritten.

    Args:
        texts: What the files of `candidates` hold.
    """
    found = []
    for file in _current(desired):
        if file.content is None or file.path not in texts:
            continue
        owner = _owner(desired, file.path, texts[file.path])
        if owner is None:
            found.append(
                f"{file.path} is there and keyfleet did not write it: move it away, or put its first line back, "
                "or set redis_endpoint_path to another place"
            )
        elif owner.deployment not in ("", desired.deployment):
            found.append(
                f"{file.path} is of the deployment {owner.deployment!r} and not of {desired.deployment!r}: set redis_endpoint_path"
            )
    return found


def plan_profiles(desired: Desired, texts: Mapping[str, str]) -> ProfilePlan:
    """
    Decide what becomes of every profile of a host.

    A file with the name that an earlier version gave it is kept up to date beside the one with the present name.

    Args:
        texts: What the files of `candidates` hold, by path; what keyfleet did not write is neither changed nor removed.
    """
    owners = {path: _owner(desired, path, text) for path, text in texts.items()}
    files = {file.path: file for file in _current(desired)}
    notes = []
    for file, present in _former(desired, texts, owners):
        files.setdefault(file.path, file)
        if file.content is not None and desired.is_env_file(file.path):
            notes.append(f"{file.path} is the former name of a profile, which the next version no longer writes: read {present} instead")
    for path, owner in owners.items():
        if path in files or owner is None or owner.deployment not in ("", desired.deployment):
            continue
        if _is_stale(desired, owner):
            files[path] = ProfileFile(path)
        else:
            notes += _note(desired, path, owner)
    gone = [ProfileFile(file.path) for file in files.values() if file.content is None and file.path in texts and owners[file.path]]
    written = [file for file in files.values() if file.content is not None]
    return ProfilePlan((*written, *sorted(gone, key=lambda file: desired.is_env_file(file.path))), tuple(notes))


def _owner(desired: Desired, path: str, text: str) -> Optional[Owner]:
    name = PurePosixPath(path).name
    endings = sorted((desired.path.suffix, *FORM_ENDINGS), key=len, reverse=True)
    ending = next(ending for ending in endings if name.endswith(ending))
    return marked_owner(text, name.removesuffix(ending), desired.path.stem)


def _current(desired: Desired) -> Iterator[ProfileFile]:
    """Yield the files with their present names."""
    for endpoint in desired.instances:
        for login, user, arn in _logins(desired, endpoint):
            owner = Owner(str(endpoint["name"]), desired.deployment, user, desired.host)
            yield from _profile(desired, owner, login, arn)


def _logins(desired: Desired, endpoint: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Yield endpoint, user and ARN for each user who gets a profile of an instance."""
    if endpoint.get("default_enabled", True):
        yield endpoint, "", desired.secret_arns.get(endpoint["name"], "")
    for user in desired.users:
        if applies(user, endpoint):
            login = {**endpoint, "username": user["name"], "password": user["password"]}
            yield login, str(user["name"]), user.get("ecs_secret_arn") or ""


def _profile(desired: Desired, owner: Owner, login: Mapping[str, Any], arn: str) -> Iterator[ProfileFile]:
    """Yield the env file and all forms of one user of one instance; a form that is not desired is removed."""
    name = stem_of(desired.path.stem, replace(owner, former=False))
    values = {**profile_variable(name), **profile_values(login, desired.key_prefix)}
    profile = Profile(stem_of(desired.path.stem, owner), owner.title, values, arn, desired.ca if login.get("tls", "off") != "off" else "")
    for form, endings in ENDINGS.items():
        if form not in desired.forms:
            yield from (ProfileFile(desired.path_of(owner, ending)) for ending in endings)
            continue
        for file in form_files(form, profile):
            yield ProfileFile(desired.path_of(owner, file.ending), file.content, file.secret)
    yield ProfileFile(desired.path_of(owner), profile_text(owner.title, values), secret=True)


def _former(desired: Desired, texts: Mapping[str, str], owners: Mapping[str, Optional[Owner]]) -> Iterator[tuple[ProfileFile, str]]:
    """Yield the files that are there with their former name and are this host's, and where the profile is now."""
    for endpoint in desired.instances if desired.host else ():
        for login, user, arn in _logins(desired, endpoint):
            owner = Owner(str(endpoint["name"]), desired.deployment, user, desired.host, former=True)
            env_path = desired.path_of(owner)
            is_mine = _is_former_of(desired, texts.get(env_path, ""), owners.get(env_path), login)
            for file in _profile(desired, owner, login, arn):
                found = owners.get(file.path)
                if found and found.deployment in ("", desired.deployment) and (found.host == desired.host if found.deployment else is_mine):
                    yield file, desired.path_of(replace(owner, former=False))


def _is_former_of(desired: Desired, text: str, owner: Optional[Owner], login: Mapping[str, Any]) -> bool:
    """Return whether what an earlier version wrote for its only host is about this one: it still is the only one, or has that address."""
    if owner is not None and owner.deployment:
        return owner.host == desired.host
    if desired.is_only_host:
        return True
    lines = [f"{name}={shlex.quote(value)}" for name, value in profile_values(login).items()]
    address = [line for line in lines if line.startswith(_ADDRESS)]
    return sorted(address) == sorted(line for line in text.splitlines() if line.startswith(_ADDRESS))


def _is_stale(desired: Desired, owner: Owner) -> bool:
    """Return whether a profile of keyfleet's that is not desired is this host's and stands for nothing that it has any more."""
    is_mine = owner.host == desired.host or (not owner.host and desired.is_only_host)
    if not is_mine or owner.instance in desired.kept:
        return False
    listed = {endpoint["name"] for endpoint in desired.instances}
    users = {"", *(user["name"] for user in desired.users)}
    return owner.instance in desired.absent or desired.knows_all or (owner.instance in listed and owner.user in users)


def _note(desired: Desired, path: str, owner: Owner) -> Iterator[str]:
    """Yield what the operator should know of a profile that stays."""
    if not desired.is_env_file(path) or not desired.hosts:
        return
    if not owner.host and desired.host and not desired.is_only_host:
        yield f"{path} is of an earlier version, which named no host, and does not have the address of one: remove it when nothing reads it"
    elif owner.host and owner.host not in desired.hosts:
        yield f"{path} is of {owner.host}, a host that the inventory does not have any more: remove it when nothing reads it"
