"""The page for those who come from other roles: every name of theirs is there, and every name of keyfleet's exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.keyfleet.redis.plugins.filter.variables import known_variables
from keyfleet import Client
from keyfleet.core.directives.tables import ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/coming_from.md").read_text(encoding="utf-8")
OURS = "\n".join(line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| ") and "|---" not in line)
# Variables in defaults/main.yml of the roles, read at geerlingguy/ansible-role-redis 0f915fb and DavidWittman/ansible-redis 0031bb4.
THEIRS = {
    "geerlingguy.redis": """
        enablerepo port bind_interface unixsocket timeout loglevel logfile databases save rdbcompression dbfilename dbdir maxmemory
        maxmemory_policy maxmemory_samples appendonly appendfsync includes requirepass disabled_commands extra_config""",
    "DavidWittman.redis": """
        version install_dir dir config_file_name download_url protected_mode verify_checksum tarball make_32bit user group nofile_limit
        oom_score_adjust as_service local_facts service_name bind port password min_slaves_to_write min_slaves_max_lag tcp_backlog
        tcp_keepalive maxclients timeout socket_path socket_perm slaveof slave_read_only slave_priority repl_backlog_size logfile
        syslog_enabled syslog_ident syslog_facility daemonize pidfile databases loglevel slowlog_log_slower_than slowlog_max_len maxmemory
        maxmemory_policy rename_commands lua_time_limit db_filename save stop_writes_on_bgsave_error rdbcompression rdbchecksum appendonly
        appendfilename appendfsync no_appendfsync_on_rewrite auto_aof_rewrite_percentage auto_aof_rewrite_min_size
        notify_keyspace_events client_output_buffer_limit_normal hz config_additional server sentinel sentinel_monitors""",
}


@pytest.mark.parametrize("role", THEIRS)
def test_every_variable_of_the_role_has_a_row(role: str) -> None:
    """Under the heading of the role, in the left column."""
    section = PAGE.partition(f"## {role}\n")[2].partition("\n## ")[0]
    left = " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| "))
    named = set(re.findall(r"`(redis_\w+)", left))
    assert set() == {f"redis_{name}" for name in THEIRS[role].split()} - named


def test_every_new_name_exists() -> None:
    """Variables of our roles, directives of a server, options of instances and modules, methods of the client."""
    variables = {name for names in known_variables().values() for name in names} | {"redis_server_report"}
    assert set() == set(re.findall(r"redis_(?:server|host|endpoint)_\w+", OURS)) - variables
    directives = {row[0] for row in ROWS} | {"user", "rename-command"}
    assert set() == set(re.findall(r"directives\.([a-z-]+)", OURS)) - directives
    modules = re.findall(r"keyfleet\.redis\.(\w+)", OURS)
    assert [] == [name for name in modules if not (ROOT / f"plugins/modules/{name}.py").exists()]
    assert [] == [name for name in re.findall(r"Client\.(\w+)\(", OURS) if not hasattr(Client, name)]
    text = (ROOT / "plugins/modules/redis_key.py").read_text(encoding="utf-8").partition('DOCUMENTATION = r"""')[2].partition('"""')[0]
    options = yaml.safe_load(text)["options"]
    assert {"ttl_seconds", "persist", "only_if"} <= set(options)
