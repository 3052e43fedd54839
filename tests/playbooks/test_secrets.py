"""No secret leaks: not in argv, environments, task output at -vvv --diff, logs, or files that others can read."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from support.playbooks import ROOT, Deployment

PASSWORD = "kf-known-secret-8461"
MASTER = "kf-known-secret-of-the-primary-2957"
PREVIOUS = "kf-known-secret-before-7310"


def _of_processes(folder: Path) -> dict[int, str]:
    """Return command line and environment of every process of the deployment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if str(folder).encode() in words + str((process / "cwd").readlink()).encode():
                found[int(process.name)] = (words + b"\0" + (process / "environ").read_bytes()).decode(errors="replace")
        except OSError:
            continue
    return found


def test_no_secret_in_output_processes_logs_or_readable_files(deployment: Deployment, port: int) -> None:
    """Known secrets, searched for in everything a run prints, starts and writes, on a first run, a change and a restart."""
    first = {"redis_server_password": PREVIOUS, "redis_server_directives": {"masterauth": MASTER}}
    passwords = {"redis_server_password": PASSWORD, "redis_server_previous_password": PREVIOUS}
    second = {**passwords, "redis_server_directives": {"masterauth": f"{MASTER}x", "databases": 4}}
    outputs = [deployment.run("-vvv", "--diff", **extra).ok().output for extra in (first, second)]
    outputs.append(deployment.run("-vvv", "--diff", "--check", **passwords).ok().output)
    with deployment.client(port, password=PASSWORD) as client:
        client.config_rewrite()
    secrets = (PASSWORD, MASTER, PREVIOUS)
    for output in outputs:
        lines = [line for line in output.splitlines() if any(secret in line for secret in secrets)]
        assert [] == lines
    processes = _of_processes(deployment.folder)
    assert len(processes) >= 2
    assert [] == [pid for pid, text in processes.items() if any(secret in text for secret in secrets)]

    allowed = {"redis@node1.env", "keyfleet.conf", "started.conf", "server.conf"}
    for path in (path for path in deployment.folder.rglob("*") if path.is_file()):
        holds = any(secret in path.read_bytes().decode(errors="replace") for secret in secrets)
        if holds and path.parent != deployment.folder:
            assert path.name in allowed, path
            assert 0 == stat.S_IMODE(path.stat().st_mode) & 0o007, path
    logs = [path for path in deployment.folder.rglob("*.log") if "var/log" in str(path)]
    assert len(logs) >= 2
    password_files = [path.name for path in deployment.root().rglob("*") if path.is_file() and PASSWORD in path.read_text(errors="replace")]
    assert [] == password_files


def test_vaulted_password_works_and_stays_hidden(deployment: Deployment, port: int) -> None:
    """A password from an encrypted variable file is used, and never shown."""
    deployment.write()
    key = deployment.folder / "vault-key"
    key.write_text("key of the vault", encoding="utf-8")
    plain = deployment.folder / "vault.yml"
    plain.write_text(f"redis_server_password: {PASSWORD}\n", encoding="utf-8")
    program = ROOT / ".venv/bin/ansible-vault"
    vault = str(program) if program.exists() else "ansible-vault"
    subprocess.run(
        [vault, "encrypt", "--vault-password-file", str(key), str(plain)],
        check=True,
        capture_output=True,
        env=deployment.environ() | {"PATH": os.environ["PATH"]},
    )
    group_vars = deployment.inventory / "group_vars"
    group_vars.mkdir()
    plain.rename(group_vars / "redis.yml")
    run = deployment.run("--vault-password-file", str(key), "-vvv", "--diff").ok()
    assert PASSWORD not in run.output
    with deployment.client(port, password=PASSWORD) as client:
        assert client.ping()


def test_generated_password_is_private_and_strong(deployed: Deployment) -> None:
    """The generated password has 256 random bits in a file that only its owner can read."""
    folder = deployed.inventory / ".keyfleet/redis"
    assert (0o700, 0o600) == tuple(stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "redis_server_password"))
    assert len(deployed.password()) == 43
