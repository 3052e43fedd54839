# SPDX-License-Identifier: MIT
"""What the hosts of a deployment are together."""
