# SPDX-License-Identifier: MIT
"""What is sent to servers and how replies are read; pure, shared by both clients."""
