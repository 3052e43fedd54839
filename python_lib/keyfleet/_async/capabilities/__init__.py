# SPDX-License-Identifier: MIT
"""The client's capabilities, one file or folder each; loaded when a program uses them."""
