# SPDX-License-Identifier: MIT
"""Who runs the servers of a host: systemd, or a supervisor of keyfleet's."""
