# SPDX-License-Identifier: MIT
"""Managed services: how users log in to them, and what they accept."""
