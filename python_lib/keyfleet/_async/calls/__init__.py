# SPDX-License-Identifier: MIT
"""The calls of the client, one file a subject."""
