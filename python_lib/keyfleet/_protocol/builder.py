# SPDX-License-Identifier: MIT
"""All operations, with the names and arguments of the client's calls; the client runs them, pipelines queue them."""

from __future__ import annotations

from .building.general import GeneralOperations
from .building.hashes import HashOperations
from .building.keys import KeyOperations
from .building.lists import ListOperations
from .building.sets import SetOperations
from .building.sorted_sets import SortedSetOperations


class Commands(KeyOperations, HashOperations, ListOperations, SetOperations, SortedSetOperations, GeneralOperations):
    """Builds operations on keys under one prefix."""
