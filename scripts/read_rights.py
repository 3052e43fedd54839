# SPDX-License-Identifier: GPL-3.0-or-later
"""
Write docs/operations/smallest_rights.md: what a user needs at least for each call of the client and each module.

A real server records what it denies to a user who begins without any right, until nothing is denied; then each right is taken back that
makes no difference.

Usage: python scripts/read_rights.py [SERVER]     (default: redis-8.0, whose commands are all that the client has calls for)
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from keyfleet.testing._binaries import FOLDER_VARIABLE
from keyfleet.testing.servers import start_server

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.rights import CASES, PAGE, Rights  # noqa: E402 - found by the line above

HEAD = """# The smallest rights

<!-- Made by scripts/read_rights.py from what a server denied; run it instead of changing this page. -->

The `commands` that a [user](users.md) needs at least for each call of the client and each module, beside `keys` and `channels` for the
names that it uses. Logging in needs no right. A check of health that a user may not make is skipped, and says which command was denied;
here all are made.

| for | commands |
|---|---|
"""
TAIL = """
On Sentinel a client needs `sentinel|masters` there, on Cluster `cluster|slots` and `cluster|nodes`.

## Procedures

Each logs in as the user `keyfleet` of the servers and as no other, and needs its password in the state folder. It has every right: it makes
users, and whoever does that could give itself any. No procedure needs `default` or a user of the inventory, which may be off.

| procedure | user of the servers | rights |
|---|---|---|
| `site.yml`, its roles and their modules (`redis_preflight`, `redis_instances`, `redis_restart`) | `keyfleet` | all |
| `playbooks/verify.yml` (`redis_proof`) | `keyfleet` | all |
| `playbooks/rotate_credentials.yml` | `keyfleet` | all |
| `playbooks/destroy.yml` | `keyfleet`, to count keys before the stop; without its password the servers stop all the same | all |
| `playbooks/compose.yml` | none: no server is asked | |

The first run of all, and one on servers of a version before, enters as `default` to make `keyfleet`.
"""


def main() -> int:
    """Write the page."""
    os.environ.setdefault(FOLDER_VARIABLE, str(ROOT / ".cache/servers"))
    engine = sys.argv[1] if len(sys.argv) > 1 else "redis-8.0"
    with tempfile.TemporaryDirectory() as folder, start_server(folder, engine=engine) as server:
        rights = Rights(server)
        rows = [(name, rights.smallest(case)) for name, case in CASES.items()]
    escaped = [(name, ", ".join(f"`{command}`".replace("|", r"\|") for command in commands)) for name, commands in rows]
    lines = [f"| `{name}` | {commands} |\n" for name, commands in escaped]
    PAGE.write_text(HEAD + "".join(lines) + TAIL, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
