# SPDX-License-Identifier: MIT
"""The operations of the client by the type of key that they are about; builder.py puts them together."""
