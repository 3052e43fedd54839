# SPDX-License-Identifier: MIT
"""The cache of the client."""
