# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/words.py finds words of the glossary in prose and names, wherever a reader meets them."""

from __future__ import annotations

import pytest

from scripts.words import SEARCHED, places, texts, without_data

PROGRAM = '''"""First word."""

word = f"a word of {word}" + "word"  # word


class Word:
    """
    Second word.
    """

    size: int = 1
    """A word of an attribute."""


def test(text: str = """word
word""") -> None:
    # A comment without the string.
    """Third word."""
    expect("word", word)
'''


@pytest.mark.parametrize(
    ("find", "text", "lines"),
    [
        ("word", "word words\na_word", [1, 2]),
        ("two words", "two\n# words, two  words", [1, 2]),
        ("words?", "WORD swords\nWords", [1, 2]),
    ],
)
def test_words_are_found_whole(find: str, text: str, lines: list[int]) -> None:
    """Parts of names count, parts of longer words do not, and a line break is a space."""
    assert [f"x:{line}" for line in lines] == places(find, [("x", text)])


def test_strings_of_a_test_do_not_count() -> None:
    """Docstrings, comments and names do, on the line where they are."""
    blank = without_data(PROGRAM)
    assert {1, 3, 6, 8, 12, 18, 19} == {int(place[2:]) for place in places("word", [("x", blank)])}
    assert len(blank) == len(PROGRAM)


def test_every_folder_that_people_read_is_searched() -> None:
    """What a search leaves out is generated, or no text."""
    found = {path.split("/")[0] for path, _text in texts()}
    assert set(SEARCHED) == found
