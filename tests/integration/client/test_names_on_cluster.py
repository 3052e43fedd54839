# SPDX-License-Identifier: MIT
"""What a KeyGroup promises, asked of a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet._protocol.key_names import KeyGroup, Prefix
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import start_cluster
from redis.exceptions import ClusterCrossSlotError


def test_a_transaction_takes_keys_of_one_group(tmp_path: Path) -> None:
    """MULTI with a key of each kind runs on the node of the group; the same kinds without a group are of several slots and refused."""
    together = KeyGroup("user:42")
    names = [together.key(prefix, part) for prefix in Prefix for part in ("https://a/b", "::1")]
    apart = [prefix.key("42") for prefix in Prefix]
    with start_cluster(tmp_path) as cluster:
        client = cluster.client()
        assert 1 == len({client.keyslot(name) for name in names})
        assert client.keyslot("user:42") == client.keyslot(names[0])
        node = client.get_redis_connection(client.get_node_from_key(names[0]))
        with node.pipeline(transaction=True) as transaction:
            for name in names:
                transaction.set(name, name)
            assert [True] * len(names) == transaction.execute()
        assert [name.encode() for name in names] == node.mget(names)
        with pytest.raises(ClusterCrossSlotError):
            node.execute_command("MGET", *apart)
        close(client)
