# SPDX-License-Identifier: MIT
"""Health of servers: probes, pure checks and one report."""
