# SPDX-License-Identifier: MIT
"""What several test files share."""
