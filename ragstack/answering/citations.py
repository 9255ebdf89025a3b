"""Makes the citations of an answer: exact spans of packed passages, resolved to page and line.

Only a numbered passage of the prompt can be cited, and only what lies inside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragstack.errors import UsageError
from ragstack.records import Citation, Passage, TextSource


def cite(number: int, passages: Sequence[Passage], start: int, end: int, source: TextSource) -> Citation:
    """The citation of `[start, end)` of the document of passage `number`, counted from 1.

    Raises `UsageError` when there is no such passage, or when the span does not lie inside it.
    """
    if not 1 <= number <= len(passages):
        raise UsageError(f"[{number}] cites nothing: the prompt has {len(passages)} passages")
    passage = passages[number - 1]
    if not passage.start <= start < end <= passage.end:
        raise UsageError(f"characters {start}-{end} are not in passage [{number}]")
    return Citation(
        number=number,
        passage=passage,
        start=start,
        end=end,
        quote=passage.text[start - passage.start : end - passage.start],
        location=source.locate(passage.document_id, start, end),
    )
