"""Plans which pieces of the hits to put into a prompt, by sums of the pieces' tokens.

States the choice between hits, whole or cut down to the sentences that matter, as a `selection.Problem`
(value per piece, tokens per piece, price, frames) and solves it for an allowance. The sums may be off by a
few tokens where a tokenizer joins pieces otherwise; `packing` counts the result exactly and asks for
another plan if need be.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ragstack.context.duplicates import MUCH_THE_SAME, Distinct, copied_segments, distinct_hits
from ragstack.context.frames import PromptFrame, frame_passage
from ragstack.context.layout import Layout, lay_out
from ragstack.context.readers import CachedCounter
from ragstack.context.selection import Problem, select
from ragstack.context.trimming import Relevance, trim_into
from ragstack.records import Hit, Location, Passage, TextSource

RELEVANCE_EXPONENT = 8
"""Expected relevance is the score's share of the best score to this power. Measured on the tuning halves of
chroma and squad (490 articles), 40 to 60 hits a question: from the best hits to those at 95 / 85 / 75 / 65 /
55 % of the best score, the evidence that a hit holds falls to 49 / 13 / 10 / 2 / 1 % on chroma and 33 / 4 / 1
/ 0.4 / 0 % on squad; the eighth power gives 66 / 27 / 10 / 3 / 0.8 %. Steeper ones fit better and pack worse,
as they leave the budget unused: evidence in 1,000 tokens on chroma 93.9, 93.5, 93.3 % with 8, 10, 12."""

EVIDENCE_OF_TERMS = 2.0
"""A sentence with all terms of the question is e^2, about 7 times, as likely to hold the evidence of its
window as one with none, token for token; where meaning is weighed, too, so is the closest in meaning."""

SHORTEST_PIECE = 60
"""Tokens of the piece that a window may be cut down to, two or three sentences: enough to be understood. They
are the embedder's, as sizes of chunks are; a reader's are as many more or fewer as it has of the windows.

With pieces, and with sentences weighed by their terms, 500 / 1,000 / 2,000 tokens hold 93.4 / 96.2 / 97.8
instead of 91.4 / 95.5 / 97.6 % of the evidence on the tuning half of squad (490 articles) and 84.9 / 94.6 /
98.0 instead of 83.9 / 93.9 / 97.8 % on that of chroma. Weights from 1 to 4 and pieces from 40 to 110 tokens
change these by a point at most."""

# A passage's place is known only when it is made, so its header is planned with one of usual length.
_SAMPLE_LOCATION = Location(first_line=1000, last_line=1010)
_SAMPLE_NUMBER = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The segments to take, and the hits of which only a part is among them, each with that part."""

    segments: frozenset[int]
    parts: Mapping[int, range]


@dataclass(frozen=True, slots=True)
class Planner:
    """The distinct hits of one question, laid out and counted; `problem` has no budget until one is given.

    `weights` say of the segments how much each matters; there are none if nothing is known of that.
    `shortest_piece` is `SHORTEST_PIECE` in the reader's tokens.
    """

    distinct: tuple[Distinct, ...]
    layout: Layout
    problem: Problem
    weights: Mapping[int, float]
    shortest_piece: float

    @classmethod
    def from_hits(
        cls,
        hits: Sequence[Hit],
        *,
        source: TextSource,
        frame: PromptFrame,
        counter: CachedCounter,
        minimum_relevance: float,
        relevance: Relevance | None,
    ) -> Planner:
        """Lays the hits out and counts every piece and every header once, in two batches."""
        distinct = tuple(distinct_hits(hits))
        layout = lay_out([each.hit for each in distinct], source)
        tokens = _segment_tokens(layout, counter)
        lengths = [max(1, sum(tokens[number] for number in window)) for window in layout.windows]
        weights = _segment_weights(layout, relevance)
        copies = copied_segments(layout, tokens)
        values = _segment_values(layout, _expected_relevance(distinct), tokens, weights)
        problem = Problem(
            windows=layout.windows,
            values=_equal_for_copies(values, copies),
            tokens=tokens,
            frames=_frame_tokens(distinct, layout, frame, counter),
            price=minimum_relevance / statistics.median(lengths),
            budget=0,
            copies=copies,
        )
        of_embedder = sum(max(1, each.hit.chunk.tokens) for each in distinct)
        return cls(distinct, layout, problem, weights, SHORTEST_PIECE * sum(lengths) / of_embedder)

    def plan(self, allowance: int) -> Plan:
        """Windows and pieces worth most within the allowance, then parts of others in what is left of it."""
        problem = replace(self.problem, budget=allowance)
        pieces = list(self._pieces())
        choice = replace(problem, windows=(*problem.windows, *(piece for _, piece in pieces)))
        chosen = select(choice)
        taken = dict(
            pieces[index - len(problem.windows)] for index in chosen.order if index >= len(problem.windows)
        )
        selection = replace(chosen, problem=problem)
        trimmed = trim_into(selection, self.weights, leave=taken)
        parts = {
            index: part
            for index, part in {**taken, **trimmed}.items()
            if not selection.covers(problem.windows[index])
        }
        return Plan(frozenset(selection.segments), parts)

    def _pieces(self) -> Iterator[tuple[int, range]]:
        """The windows that may be cut down, and to which piece of each.

        A version of what another document says is cut to what only it says; others to the piece that is worth
        most for its tokens, if it is known what matters.
        """
        for index, window in enumerate(self.problem.windows):
            own = self._own_part(window)
            if own is not None:
                yield index, own
                continue
            pieces = list(self._short_runs(window)) if self.weights else []
            if pieces:
                yield index, max(pieces, key=self._density)

    def _own_part(self, window: range) -> range | None:
        """Of a version what no better one says, as a run, with the sentence before; None if that is no part.

        The sentence before is there because a pronoun may point to it.
        """
        copies, tokens = self.problem.copies, self.problem.tokens
        own = [number for number in window if copies.get(number, number) == number]
        most = (1 - MUCH_THE_SAME) * sum(tokens[number] for number in window)
        if not own or sum(tokens[number] for number in own) > most:
            return None
        part = range(max(own[0] - 1, window.start), own[-1] + 1)
        return part if part != window else None

    def _short_runs(self, window: range) -> Iterator[range]:
        """From every segment of the window the shortest run that is long enough; not the whole window."""
        for start in window:
            length = 0
            for stop in range(start + 1, window.stop + 1):
                length += self.problem.tokens[stop - 1]
                if length >= self.shortest_piece:
                    if range(start, stop) != window:
                        yield range(start, stop)
                    break

    def _density(self, piece: range) -> float:
        value = sum(self.problem.values[number] for number in piece)
        return value / max(1, self.planned_tokens(piece))

    def single_sentences(self, budget: int) -> Iterator[Plan]:
        """Plans of one piece each, the most valuable first, leaving out what cannot fit."""
        values, tokens = self.problem.values, self.problem.tokens
        for number in sorted(values, key=lambda number: -values[number]):
            if tokens[number] <= budget:
                run = range(number, number + 1)
                parts = {
                    index: run
                    for index, window in enumerate(self.layout.windows)
                    if number in window and len(window) > 1
                }
                yield Plan(frozenset(run), parts)

    def planned_tokens(self, run: range) -> int:
        """What a passage of these segments costs by the plan."""
        return self.problem.frames[run[0]] + sum(self.problem.tokens[number] for number in run)


def _segment_weights(layout: Layout, relevance: Relevance | None) -> dict[int, float]:
    if relevance is None:
        return {}
    best_first = list(dict.fromkeys(number for window in layout.windows for number in window))
    texts = [layout.segments[number].text for number in best_first]
    return dict(zip(best_first, relevance(texts), strict=True))


def _segment_tokens(layout: Layout, counter: CachedCounter) -> dict[int, int]:
    # A blank at the end would be a token of its own for many tokenizers, but it joins the word that follows.
    texts = [segment.text.rstrip(" ") for segment in layout.segments.values()]
    return dict(zip(layout.segments, counter.count_many(texts), strict=True))


def _expected_relevance(distinct: Sequence[Distinct]) -> list[float]:
    """How likely each hit is to hold evidence, the best one being 1; by rank if no score is above 0."""
    scores = [each.worth for each in distinct]
    best = max(scores)
    if best <= 0:
        return [1 / rank for rank in range(1, len(scores) + 1)]
    return [(max(score, 0.0) / best) ** RELEVANCE_EXPONENT for score in scores]


def _segment_values(
    layout: Layout, relevances: Sequence[float], tokens: Mapping[int, int], weights: Mapping[int, float]
) -> dict[int, float]:
    """The value of each segment: its share of the relevance of a window, the highest if it is in several.

    The relevance of a window is spread over its tokens, by the weights where there are any.
    """
    best = dict.fromkeys(tokens, 0.0)
    for window, relevance in zip(layout.windows, relevances, strict=True):
        likely = {
            number: tokens[number] * math.exp(EVIDENCE_OF_TERMS * weights.get(number, 0.0))
            for number in window
        }
        whole = sum(likely.values()) or 1.0
        for number in window:
            best[number] = max(best[number], relevance * likely[number] / whole)
    return best


def _equal_for_copies(values: Mapping[int, float], copies: Mapping[int, int]) -> dict[int, float]:
    """The values, where a text has copies the highest of theirs."""
    highest: dict[int, float] = {}
    for number, standing in copies.items():
        highest[standing] = max(highest.get(standing, 0.0), values[number])
    return {**values, **{number: highest[standing] for number, standing in copies.items()}}


def _frame_tokens(
    distinct: Sequence[Distinct], layout: Layout, frame: PromptFrame, counter: CachedCounter
) -> dict[int, int]:
    """What a passage that begins at a segment pays for its header, by the first window that holds it."""
    texts: dict[int, str] = {}
    windows = layout.windows
    for index in sorted(range(len(windows)), key=lambda index: windows[index].start):
        framed = frame_passage(frame, _SAMPLE_NUMBER, _sample_passage(distinct[index].hit))
        for number in windows[index]:
            texts.setdefault(number, framed)
    return dict(zip(texts, counter.count_many(list(texts.values())), strict=True))


def _sample_passage(hit: Hit) -> Passage:
    """A passage like the one that the hit would begin, without its text."""
    chunk = hit.chunk
    return Passage(
        document_id=chunk.document_id,
        path=chunk.path,
        title=chunk.title,
        start=chunk.start,
        end=chunk.end,
        text="",
        tokens=0,
        score=hit.score,
        headings=chunk.headings,
        location=_SAMPLE_LOCATION,
    )
