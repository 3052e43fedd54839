# SPDX-License-Identifier: MIT
"""A primary and its replicas: what they are, what they should be, and the steps between."""
