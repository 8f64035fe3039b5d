"""How a candidate came about: one plain word, which stands in populations and scores.

The words of this project's algorithms are random, crossover, mutation, unseen, neighbour, model and enumerated. Beside
them stand ``finalist`` and ``sample`` for what no search has proposed. Another algorithm has words of its own. One of
them has a meaning for reports: where all candidates are ``random``, no score had a part in what was tried.
"""

import re
from typing import Any

#: What a word is, for people.
PLAIN_WORD = "one plain word: 1 to 30 letters (a to z), digits and hyphens"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,29}")


def is_plain_word(text: Any) -> bool:
    """Returns whether it can stand for how a candidate came about.

    >>> [is_plain_word(text) for text in ("hill", "step-2", "", "two words", "a,b", None)]
    [True, True, False, False, False, False]
    """
    return isinstance(text, str) and _WORD.fullmatch(text) is not None
