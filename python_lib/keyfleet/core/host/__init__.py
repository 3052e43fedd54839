# SPDX-License-Identifier: MIT
"""The machine: files, kernel settings, ports, memory and commands."""
