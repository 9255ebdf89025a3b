"""Makes passages out of chosen segments: exact text and place, headings, copies elsewhere, and their order.

Which segments are chosen is decided by `packing`; here they become the records that are printed and cited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ragstack.context.duplicates import Distinct
from ragstack.context.layout import Layout, blank_gap
from ragstack.records import Passage, TextSource

LONG_PROMPT_TOKENS = 4_096
"""Beyond this, a model finds what stands at either end of a prompt better than what stands in its middle:
Liu et al., "Lost in the Middle" (arXiv:2307.03172), with 20 documents, about 4,000 tokens."""


def make_passage(
    run: range,
    layout: Layout,
    members: Mapping[int, Distinct],
    source: TextSource,
    copies: Mapping[int, int],
) -> Passage:
    """The passage that a run of touching segments makes.

    `members` are the hits whose text is in it, by their place in the layout; of segments that stand in
    several places `copies` says which one stands for the text. A passage never begins or ends with blanks.
    Its headings are those above its beginning, its score is its best hit's.
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
        also_in=_also_in(
            [
                *_repeats(list(members.values()), first.document_id, start, end),
                *_versions(run, layout, copies),
            ],
            source,
        ),
    )


def arrange(passages: Sequence[Passage], tokens: int) -> list[Passage]:
    """Best first; in a long prompt the best stand at both ends and the weakest in the middle.

    Within a passage the text keeps the order of its document in any case.
    """
    ranked = sorted(passages, key=lambda passage: -passage.score)
    if tokens <= LONG_PROMPT_TOKENS:
        return ranked
    return ranked[::2] + ranked[1::2][::-1]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A place that holds the text of a passage, or (not `exact`) nearly."""

    document_id: int
    path: str
    start: int
    end: int
    exact: bool


def _repeats(members: Sequence[Distinct], document_id: int, start: int, end: int) -> Iterator[_Copy]:
    """Where else hits of the passage stand as they are, but for the passage itself."""
    for chunk in (repeat.chunk for member in members for repeat in member.repeats):
        if not (chunk.document_id == document_id and start <= chunk.start and chunk.end <= end):
            yield _Copy(chunk.document_id, chunk.path, chunk.start, chunk.end, True)


def _versions(run: range, layout: Layout, copies: Mapping[int, int]) -> Iterator[_Copy]:
    """The places that repeat half of the passage or a whole hit, with what stands between the repetitions."""
    standing = {copies[number] for number in run if number in copies}
    if not standing:
        return
    length = sum(len(layout.segments[number].text) for number in run)
    shared = {number for number, stands in copies.items() if stands in standing and number not in run}
    whole_hits = [window for window in layout.windows if window and shared.issuperset(window)]
    for stretch in layout.runs(layout.segments.keys()):
        numbers = sorted(shared.intersection(stretch))
        repeated = sum(len(layout.segments[number].text) for number in numbers)
        if 2 * repeated >= length or any(window.start in stretch for window in whole_hits):
            place = range(numbers[0], numbers[-1] + 1)
            first = layout.segments[numbers[0]]
            said = [copies.get(number) for number in place]
            exact = None not in said and said == [copies.get(number) for number in run]
            yield _Copy(first.document_id, first.path, *layout.span(place), exact)


def _also_in(found: Sequence[_Copy], source: TextSource) -> tuple[str, ...]:
    """The places in the order in which they were found, those that overlap or touch as one."""
    places: list[_Copy] = []
    for copy in found:
        near = [each for each in places if _touch(each, copy, source)]
        joined = replace(
            copy,
            start=min(each.start for each in (copy, *near)),
            end=max(each.end for each in (copy, *near)),
            exact=all(each.exact for each in (copy, *near)),
        )
        places = [each for each in places if each not in near] + [joined]
    return tuple(dict.fromkeys(_named(place, source) for place in places))


def _touch(one: _Copy, other: _Copy, source: TextSource) -> bool:
    """Whether two places overlap or have only blanks between them."""
    if one.document_id != other.document_id:
        return False
    end, start = min(one.end, other.end), max(one.start, other.start)
    return blank_gap(source, one.document_id, end, start) is not None


def _named(copy: _Copy, source: TextSource) -> str:
    location = str(source.locate(copy.document_id, copy.start, copy.end))
    place = f"{copy.path}, {location}" if location else copy.path
    return place if copy.exact else f"{place} (nearly the same)"
