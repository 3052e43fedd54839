# SPDX-License-Identifier: MIT
"""A Sentinel of a host: its file, its process, and what it watches."""
