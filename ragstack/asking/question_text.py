"""What the text of a question may hold before it is searched for, embedded, stored and sent.

The same that the text of a document may hold; what a question means is decided elsewhere.
"""

from __future__ import annotations

import re

_UNREADABLE = re.compile("[\x00\ud800-\udfff]")


def readable_question(text: str) -> str:
    """The question with U+FFFD for every NUL and lone surrogate, as loading does with documents.

    No store, no tokenizer and no model takes them; a terminal with the wrong encoding makes them.
    """
    return _UNREADABLE.sub("\ufffd", text)
