# SPDX-License-Identifier: MIT
"""Policy of the cache: what an entry holds, when it may be served, who loads it anew."""
