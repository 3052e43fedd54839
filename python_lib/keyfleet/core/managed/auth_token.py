# SPDX-License-Identifier: MIT
"""
The rules of ElastiCache for AUTH tokens and passwords of users; pure.

Source:
    ElastiCache User Guide, "Authenticating with the AUTH command" and "Role-Based Access Control".
"""

from __future__ import annotations

import re

SHORTEST, LONGEST = 16, 128
MARKS_OF_TOKENS = "!&#$^<>-"
NOT_IN_PASSWORDS = ',"/@'


def token_problem(token: str) -> str:
    """Return what is wrong with an AUTH token, without the token; empty if nothing is."""
    length = _length_problem(token)
    if length:
        return length
    if not re.fullmatch(f"[A-Za-z0-9{re.escape(MARKS_OF_TOKENS)}]*", token):
        return f"it holds a character that is not allowed; allowed are letters, digits and {' '.join(MARKS_OF_TOKENS)}"
    return ""


def password_problem(password: str) -> str:
    """Return what is wrong with the password of a user, without the password; empty if nothing is."""
    length = _length_problem(password)
    if length:
        return length
    if not re.fullmatch("[!-~]*", password) or any(mark in password for mark in NOT_IN_PASSWORDS):
        return f"it holds a character that is not allowed; allowed is printable ASCII except spaces and {' '.join(NOT_IN_PASSWORDS)}"
    return ""


def _length_problem(secret: str) -> str:
    if SHORTEST <= len(secret) <= LONGEST:
        return ""
    return f"it has {len(secret)} characters; allowed are {SHORTEST} to {LONGEST}"
