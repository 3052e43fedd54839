# SPDX-License-Identifier: MIT
"""Consumers of connection profiles: each reads the files of one form as those who use it do, and returns the REDIS_ variables."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import kubernetes_validate
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from dotenv import dotenv_values

from support.services import environment_of_a_service

# Arguments: the file without its ending, and the passwords that AWS keeps, by ARN.
Reader = Callable[[Path, Mapping[str, str]], dict[str, str]]


def _file(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _pairs(printed: bytes) -> dict[str, str]:
    """Return the REDIS_ variables of what ``env -0`` printed."""
    found = dict(entry.split("=", 1) for entry in printed.decode().split("\0") if entry)
    return {name: value for name, value in found.items() if name.startswith("REDIS_")}


def read_shell(stem: Path, _secrets: Mapping[str, str]) -> dict[str, str]:
    """Let a shell with an empty environment read the env file."""
    command = ["env", "-i", "sh", "-c", 'set -a; . "$0"; exec env -0', str(_file(stem, ".env"))]
    return _pairs(subprocess.run(command, capture_output=True, check=True).stdout)


def read_dotenv(stem: Path, _secrets: Mapping[str, str]) -> dict[str, str]:
    """Read with python-dotenv, which replaces variables."""
    return {name: value or "" for name, value in dotenv_values(_file(stem, ".dotenv"), encoding="utf-8").items()}


def read_systemd(stem: Path, _secrets: Mapping[str, str]) -> dict[str, str]:
    """Let systemd start a service with the file, and return what the service finds in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        return _pairs(environment_of_a_service(Path(folder), _file(stem, ".service.env")))


def read_kubernetes(stem: Path, _secrets: Mapping[str, str]) -> dict[str, str]:
    """Check both objects against the schema of Kubernetes, unknown fields included, and put together what ``envFrom`` gives."""
    config, secret = (yaml.safe_load(_file(stem, ending).read_text(encoding="utf-8")) for ending in (".configmap.yml", ".secret.yml"))
    for found in (config, secret):
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    assert ["REDIS_PASSWORD"] == list(secret["data"])
    assert "REDIS_PASSWORD" not in config["data"]
    assert config["metadata"]["name"] == secret["metadata"]["name"]
    return {**config["data"], **{name: base64.b64decode(value, validate=True).decode() for name, value in secret["data"].items()}}


def read_ecs(stem: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    """Check the fragment against the model of the AWS API, and resolve its secret as ECS does."""
    fragment = json.loads(_file(stem, ".ecs.json").read_text(encoding="utf-8"))
    operation = get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    definition = {"family": "app", "containerDefinitions": [{"name": "app", "image": "app", **fragment}]}
    assert "" == ParamValidator().validate(definition, operation.input_shape).generate_report()
    assert ["REDIS_PASSWORD"] == [secret["name"] for secret in fragment["secrets"]]
    public = {pair["name"]: pair["value"] for pair in fragment["environment"]}
    return {**public, **{secret["name"]: secrets[secret["valueFrom"]] for secret in fragment["secrets"]}}


def read_compose(stem: Path, _secrets: Mapping[str, str]) -> dict[str, str]:
    """Let Compose put a service together that extends ours; it writes the result with dollar signs doubled, as it reads them."""
    file = _file(stem, ".compose.yml")
    (service,) = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    with tempfile.TemporaryDirectory() as folder:
        whole = {"services": {"app": {"image": "app", "extends": {"file": str(file), "service": service}}}}
        Path(folder, "compose.yml").write_text(json.dumps(whole), encoding="utf-8")
        done = subprocess.run(["docker-compose", "config"], capture_output=True, text=True, check=False, cwd=folder)
    assert 0 == done.returncode, done.stderr
    found = yaml.safe_load(done.stdout)["services"]["app"]["environment"]
    return {name: str(value).replace("$$", "$") for name, value in found.items()}


READERS: dict[str, Reader] = {
    "shell": read_shell,
    "dotenv": read_dotenv,
    "systemd": read_systemd,
    "kubernetes": read_kubernetes,
    "ecs": read_ecs,
    "compose": read_compose,
}
