"""What a word is and which words carry no evidence: shared by the full-text index and by extractive answers.

Both must know the scripts that put no blanks between words. Where they differ, it is on purpose and said
here. Not responsible for stemming: SQLite stems for the index, Snowball for answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

QUESTION_STOP_WORDS = frozenset(
    "a about an and are as at be been but by can could did do does for from had has have how i if in into is "
    "it its me my of on or our so than that the their them then there these they this to us was we were what "
    "when where which who whom whose why will with would you your".split()
)
"""Words of a question that find nothing: left out of a search unless nothing else is left of it.

Fewer than `STOP_WORDS`: a search for "before" or "most" may mean it, and BM25 gives common words little.
"""

STOP_WORDS = QUESTION_STOP_WORDS | frozenset(
    "after all also any before being between both during each he her him his many may might more most much "
    "must no not only other over s she should some such t those under while".split()
)
"""Words that are no evidence when a sentence shares them with a question."""

# Thai and Lao, Burmese, Khmer, ideographic marks, kana, Han: scripts that put no blank between words.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
"""Characters of scripts without blanks between words, as the inside of a character class."""

# Hangul (syllables and letters), Bopomofo, half-width katakana, rare Han.
PAIRED = UNSPACED + "\u1100-\u11ff\u3100-\u31bf\uac00-\ud7af\uff66-\uff9f\U00020000-\U0003ffff"
"""Characters that are indexed in pairs: also Hangul, whose words take endings that no stemmer here knows."""

_PAIRED_RUN = re.compile(f"[{PAIRED}]+")


def character_pairs(value: str) -> str:
    """Overlapping pairs of characters of every unspaced run, by blanks; a lone one stays single."""
    pairs: list[str] = []
    if value.isascii():  # which Python knows of a text without looking at it
        return ""
    for run in _PAIRED_RUN.findall(value):
        pairs.extend(overlapping_pairs(run))
    return " ".join(pairs)


def overlapping_pairs(run: str) -> Iterator[str]:
    """Overlapping pairs of characters of a run without blanks; a lone character stays single."""
    return (run[at : at + 2] for at in range(max(1, len(run) - 1)))
