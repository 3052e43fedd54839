# SPDX-License-Identifier: MIT
"""A Redis or Valkey Cluster: what it is, what it should be, and the steps between."""
