# SPDX-License-Identifier: MIT
"""The connection profile in the forms that containers, services and other readers of files want; pure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .values import PASSWORD, SECRETS, profile_text

CA_KEY = "ca.pem"  # in the ConfigMap of Kubernetes
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_OBJECT_NAME = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Profile:
    """
    What one file, or one object, is about.

    Attributes:
        stem: Name of the profile, unique among those of an inventory: the file without folder and ending.
        title: What it is for, one line.
        values: From ``profile.profile_values``.
        secret_arn: Where ECS finds the password; empty if there is none.
        ca: Certificates that applications trust, in PEM form; empty without TLS.
    """

    stem: str
    title: str
    values: Mapping[str, str]
    secret_arn: str = ""
    ca: str = ""

    def public(self) -> dict[str, str]:
        """Return the values without passwords."""
        return {name: value for name, value in self.values.items() if name not in SECRETS}

    def secrets(self) -> dict[str, str]:
        """Return the passwords."""
        return {name: value for name, value in self.values.items() if name in SECRETS}

    @property
    def object_name(self) -> str:
        """
        Name of an object in Kubernetes or Compose: the stem where that is possible, else one like it with a digest of the stem.

        Two stems never share one: what is changed has a digest of what it was.
        """
        if _OBJECT_NAME.fullmatch(self.stem):
            return self.stem
        readable = re.sub("[^a-z0-9]+", "-", self.stem.lower()).strip("-")[:50].strip("-")
        return f"{readable or 'redis'}-{hashlib.sha256(self.stem.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class FormFile:
    """
    One file of a form.

    Attributes:
        ending: What follows the stem in its name.
        content: None if there is none now, and one of an earlier run goes.
        secret: Whether it holds the password.
    """

    ending: str
    content: str | None
    secret: bool


# The files of each form; a file that a form does not fill now is removed.
ENDINGS = {
    "dotenv": (".dotenv",),
    "systemd": (".service.env",),
    "kubernetes": (".configmap.yml", ".secret.yml"),
    "ecs": (".ecs.json",),
    "compose": (".compose.yml",),
}
FORMS = tuple(ENDINGS)
# Read on other machines, or in containers: a socket of the host is not there.
FORMS_ELSEWHERE = ("kubernetes", "ecs", "compose")


def dotenv_quote(value: str) -> str:
    """
    Write a value as python-dotenv reads it: literal between single quotes, where a backslash stands before a quote or a backslash.

    ``${`` and a backslash at the end cannot be written; see ``profile_validation``.
    """
    if _PLAIN.fullmatch(value):
        return value
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def systemd_quote(value: str) -> str:
    """
    Write a value for ``EnvironmentFile=``.

    Source:
        systemd.exec(5): between double quotes a backslash stands before a double quote, a backslash, a backtick and a dollar sign.
    """
    return value if _PLAIN.fullmatch(value) else '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def yaml_quote(value: str) -> str:
    """Write a text as a YAML scalar in double quotes, ASCII only, so that each reader agrees on what it is."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        letter if " " <= letter <= "~" else f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}" for letter in text
    )


def _mapping(values: Mapping[str, str], indent: int) -> list[str]:
    return [f"{' ' * indent}{name}: {yaml_quote(value)}" for name, value in values.items()]


def _object(kind: str, profile: Profile, *lines: str) -> str:
    head = [f"# {profile.title}", "apiVersion: v1", f"kind: {kind}", "metadata:", f"  name: {yaml_quote(profile.object_name)}"]
    return "\n".join([*head, "  labels:", "    app.kubernetes.io/managed-by: keyfleet", *lines, ""])


def kubernetes_files(profile: Profile) -> Iterator[str | None]:
    """
    Yield a ConfigMap and a Secret of the same name, for ``envFrom``; no Secret without a password.

    The ConfigMap holds the certificates that applications trust as well, for a volume: CA_KEY, which is no name of a variable.

    Source:
        https://kubernetes.io/docs/concepts/configuration/secret/: ``data`` is base64, and is what an API server returns.
    """
    trusted = {CA_KEY: profile.ca} if profile.ca else {}
    yield _object("ConfigMap", profile, "data:", *_mapping({**profile.public(), **trusted}, 2))
    encoded = {name: base64.b64encode(value.encode()).decode("ascii") for name, value in profile.secrets().items()}
    yield _object("Secret", profile, "type: Opaque", "data:", *_mapping(encoded, 2)) if encoded else None


def ecs_text(profile: Profile) -> str:
    """
    Return the part ``environment`` and ``secrets`` of a container definition; the password stays where its ARN says.

    Where Sentinels have a password too, the ARN is of a secret in JSON that has both under the names of their variables.

    Source:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    pairs = [{"name": name, "value": value} for name, value in profile.public().items()]
    names, arn = list(profile.secrets()), profile.secret_arn
    secrets = [{"name": name, "valueFrom": arn if names == [PASSWORD] else f"{arn}:{name}::"} for name in names]
    return json.dumps({"environment": pairs, "secrets": secrets}, indent=2) + "\n"


def compose_text(profile: Profile) -> str:
    """
    Return a Compose file with one service to extend, which has nothing but the environment.

    Source:
        https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md: a dollar sign is written twice.
    """
    doubled = {name: value.replace("$", "$$") for name, value in profile.values.items()}
    name = yaml_quote(profile.object_name)
    return "\n".join([f"# {profile.title}", "services:", f"  {name}:", "    environment:", *_mapping(doubled, 6), ""])


def form_files(form: str, profile: Profile) -> list[FormFile]:
    """Return the files of a form."""
    if form == "kubernetes":
        config, secret = kubernetes_files(profile)
        contents = [(config, False), (secret, True)]
    elif form == "ecs":
        contents = [(ecs_text(profile), False)]
    elif form == "compose":
        contents = [(compose_text(profile), True)]
    else:
        quote = dotenv_quote if form == "dotenv" else systemd_quote
        contents = [(profile_text(profile.title, profile.values, quote), True)]
    return [FormFile(ending, content, secret) for ending, (content, secret) in zip(ENDINGS[form], contents)]
