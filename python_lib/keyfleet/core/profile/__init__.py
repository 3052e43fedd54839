# SPDX-License-Identifier: MIT
"""The connection profile that applications use."""
