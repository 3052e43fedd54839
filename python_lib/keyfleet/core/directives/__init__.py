# SPDX-License-Identifier: MIT
"""The server's directives: what each engine version knows, and how values are compared, tried and applied."""
