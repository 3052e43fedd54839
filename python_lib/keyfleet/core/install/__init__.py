# SPDX-License-Identifier: MIT
"""Programs of the engine: package, repository, release from source."""
