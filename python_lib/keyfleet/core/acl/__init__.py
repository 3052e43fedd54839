# SPDX-License-Identifier: MIT
"""Users of a server: declared, compared by meaning, and changed live."""
