# SPDX-License-Identifier: MIT
"""Measurements of the client library beside its peers; see docs/client/benchmarks.md."""
