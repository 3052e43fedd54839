# SPDX-License-Identifier: MIT
"""From connection settings to a redis-py client, and from redis-py's errors to keyfleet's."""
