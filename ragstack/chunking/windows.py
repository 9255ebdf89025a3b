"""Cuts a document into chunks: the door of the chunking stage, which joins its steps in order.

Nothing is read, embedded or stored here; the tokenizer is the embedder's and comes from outside.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ragstack.chunking.embedding_text import embedding_text
from ragstack.chunking.heading_context import ContextWriter
from ragstack.chunking.seams import Seams, find_seams
from ragstack.chunking.sections import SectionGroup, group_sections
from ragstack.chunking.settings import check_settings
from ragstack.chunking.sliding import WindowLimits, slide
from ragstack.chunking.stretches import Grain
from ragstack.chunking.structure import structure_of
from ragstack.errors import EmbeddingError
from ragstack.records import Chunk, ChunkerSettings, Document, Tokenizer


def chunk_document(
    document: Document, tokenizer: Tokenizer, settings: ChunkerSettings, *, max_tokens: int, overhead: int
) -> list[Chunk]:
    """The chunks of a document, sorted; both their starts and their ends strictly rise.

    `max_tokens` is what the embedder reads of one text, `overhead` what it adds itself (special tokens and
    the document prompt): `embedding_text` of every chunk has at most `max_tokens - overhead` tokens, counted
    on that very string. Every character that is not blank is in a chunk. A chunk has at most `settings.size`
    tokens and `settings.max_characters` characters.

    A *unit* is a sentence, a heading, a line of code or a row of a table. Windows begin and end between
    units wherever they can, and every unit that fits a window is whole in one. Windows do not cross into
    another section, except that small sections share windows (`sections.group_sections`).

    The overlap, inside a section: go back `settings.overlap` tokens from the end of a window; the next window
    begins at the beginning of the unit in which that place lies. So neighbours share at least the request
    and less than one unit more, also where units are longer than the request. If from there the unit that
    comes next would not fit, the window begins later in the same unit, at the last clause or word from
    which the request is still met. Only these exceptions share less: an overlap of 0 shares nothing; after
    a window that ends with a paragraph (or another block) the next one begins with the next paragraph, if
    that does not fit a window together with the overlap; an overlap never exceeds three quarters of a window
    that a context has shortened; half of `max_characters` is always overlap enough; and where a run of
    blanks or a huge word leaves no room, the next window begins where it gets on.

    `headings` are those that enclose all text of the chunk; a heading's line itself is text of the chunk that
    begins with it, and is then not repeated in the context. The context takes at most
    `settings.max_context_tokens` tokens and a quarter of what fits; where context, text and overhead
    together would pass `max_tokens`, the windows of that section are shortened.

    Raises UsageError if the settings cannot be honoured (see `settings.check_settings`), and EmbeddingError
    if a single character has more tokens than a chunk may have.
    """
    check_settings(settings, max_tokens=max_tokens, overhead=overhead)
    room = max_tokens - overhead
    limit = min(settings.max_context_tokens, room // 4)
    structure = structure_of(document)
    narrowest = _limits(min(settings.size, room - limit), settings)
    seams = find_seams(document.text, structure, tokenizer, Grain(*narrowest.grain()))
    cutter = _Cutter(
        document=document,
        tokenizer=tokenizer,
        settings=settings,
        room=room,
        seams=seams,
        contexts=ContextWriter(document, structure.tables, tokenizer, limit),
    )
    return cutter.chunks(group_sections(structure, seams, settings.size))


def _limits(tokens: int, settings: ChunkerSettings) -> WindowLimits:
    return WindowLimits.for_budget(tokens, settings.overlap, settings.max_characters)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A chunk and the tokens of its context; `is_exact` unless its embedding text has to be counted again."""

    chunk: Chunk
    context_tokens: int
    is_exact: bool

    def recounted(self, tokens: int) -> _Measured:
        """The same with the counted tokens of the embedding text."""
        chunk = replace(self.chunk, tokens=max(tokens - self.context_tokens, 0))
        return _Measured(chunk, min(tokens, self.context_tokens), is_exact=True)


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Slides windows over one document's groups, more narrowly where their embedding texts are too long."""

    document: Document
    tokenizer: Tokenizer
    settings: ChunkerSettings
    room: int
    seams: Seams
    contexts: ContextWriter

    def chunks(self, groups: Sequence[SectionGroup]) -> list[Chunk]:
        budgets = {place: min(self.settings.size, self.room) for place in range(len(groups))}
        done: dict[int, list[Chunk]] = {}
        while budgets:
            cut = {place: list(self._cut(groups[place], budget)) for place, budget in budgets.items()}
            self._recount(cut)
            surpluses = {place: max(map(self._surplus, group)) for place, group in cut.items()}
            done |= {place: [each.chunk for each in cut[place]] for place in cut if surpluses[place] <= 0}
            budgets = {
                place: _narrowed(budgets[place], surplus)
                for place, surplus in surpluses.items()
                if surplus > 0
            }
        return [chunk for place in sorted(done) for chunk in done[place]]

    def _recount(self, cut: dict[int, list[_Measured]]) -> None:
        """Counts what is not exact, in one batch."""
        doubtful = [
            (group, index) for group in cut.values() for index, each in enumerate(group) if not each.is_exact
        ]
        texts = [group[index].chunk.embedding_text for group, index in doubtful]
        counts = self.tokenizer.count_many(texts) if texts else []
        for (group, index), count in zip(doubtful, counts, strict=True):
            group[index] = group[index].recounted(count)

    def _surplus(self, measured: _Measured) -> int:
        """By how many tokens a chunk is too long, for its size or for the embedder; negative if it is not."""
        tokens = measured.chunk.tokens
        return max(measured.context_tokens + tokens - self.room, tokens - self.settings.size)

    def _cut(self, group: SectionGroup, budget: int) -> Iterator[_Measured]:
        for first, last in slide(self.seams, group.first, group.last, _limits(budget, self.settings)):
            yield self._chunk(group, first, last)

    def _chunk(self, group: SectionGroup, first: int, last: int) -> _Measured:
        seams = self.seams
        start, end = seams.starts[first], seams.ends[last - 1]
        text = self.document.text[start:end]
        headings, path_seams = group.headings(first, last)
        context = self.contexts.write(headings, bisect_left(path_seams, first), start)
        tokens = seams.tokens_between(first, last)
        word_limit = None if seams.is_plain else self.tokenizer.word_limit
        chunk = Chunk(
            start=start,
            end=end,
            text=text,
            tokens=tokens,
            headings=headings,
            context=context.text,
            embedding_text=embedding_text(context.given, text, word_limit),
        )
        return _Measured(chunk, context.tokens, seams.is_exact_between(first, last))


def _narrowed(budget: int, surplus: int) -> int:
    if budget <= 1:
        raise EmbeddingError(
            f"a single character has {surplus} tokens more than a chunk may have",
            hint="choose a larger chunk size, or a model that reads longer texts",
        )
    return max(1, budget - surplus)
