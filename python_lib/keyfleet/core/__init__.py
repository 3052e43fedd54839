# SPDX-License-Identifier: MIT
"""What the Ansible modules and the client library share; imports redis-py and the standard library only."""
