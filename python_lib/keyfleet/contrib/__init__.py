# SPDX-License-Identifier: MIT
"""Adapters for web frameworks; they need none of them, only the interfaces ASGI and WSGI."""
