"""Makes passages out of chosen segments: exact text and place, headings, copies elsewhere, and their order.

Which segments are chosen is decided by `packing`; here they become the records that are printed and cited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragstack.context.duplicates import Distinct
from ragstack.context.layout import Layout
from ragstack.records import Hit, Passage, TextSource

LONG_PROMPT_TOKENS = 4_096
"""Beyond this, a model finds what stands at either end of a prompt better than what stands in its middle:
Liu et al., "Lost in the Middle" (arXiv:2307.03172), with 20 documents, about 4,000 tokens."""


def make_passage(run: range, layout: Layout, members: Mapping[int, Distinct], source: TextSource) -> Passage:
    """The passage that a run of touching segments makes.

    `members` are the hits whose text is in it, by their place in the layout. A passage never begins or ends
    with blanks. Its headings are those above its beginning, its score is its best hit's.
    """
    first = layout.segments[run[0]]
    start, end = layout.span(run)
    text = source.read_text(first.document_id, start, end)
    start += len(text) - len(text.lstrip())
    text = text.strip()
    end = start + len(text)
    location = source.locate(first.document_id, start, end)
    opening = members[min(members, key=lambda index: (layout.windows[index].start, index))].hit.chunk
    return Passage(
        document_id=first.document_id,
        path=opening.path,
        title=opening.title,
        start=start,
        end=end,
        text=text,
        tokens=0,
        score=max(member.score for member in members.values()),
        headings=location.headings or opening.headings,
        chunk_ids=tuple(member.hit.chunk.chunk_id for member in members.values()),
        content_hash=opening.content_hash,
        location=location,
        also_in=_copies(list(members.values()), first.document_id, start, end, source),
    )


def arrange(passages: Sequence[Passage], tokens: int) -> list[Passage]:
    """Best first; in a long prompt the best stand at both ends and the weakest in the middle.

    Within a passage the text keeps the order of its document in any case.
    """
    ranked = sorted(passages, key=lambda passage: -passage.score)
    if tokens <= LONG_PROMPT_TOKENS:
        return ranked
    return ranked[::2] + ranked[1::2][::-1]


def _copies(
    members: Sequence[Distinct], document_id: int, start: int, end: int, source: TextSource
) -> tuple[str, ...]:
    """Where else the hits' text stands, each place once, without the passage itself."""
    places = [
        _place(repeat, source)
        for member in members
        for repeat in member.repeats
        if not _within(repeat, document_id, start, end)
    ]
    return tuple(dict.fromkeys(places))


def _within(hit: Hit, document_id: int, start: int, end: int) -> bool:
    return hit.chunk.document_id == document_id and start <= hit.chunk.start and hit.chunk.end <= end


def _place(hit: Hit, source: TextSource) -> str:
    location = str(source.locate(hit.chunk.document_id, hit.chunk.start, hit.chunk.end))
    return f"{hit.chunk.path}, {location}" if location else hit.chunk.path
