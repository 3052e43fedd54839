# SPDX-License-Identifier: MIT
"""Real throw-away servers for tests; see `keyfleet.testing.servers`."""
