"""Answers a question without a language model: copies the sentences that answer best, each with its citation.

Chooses among the statements that `evidence` has weighed, shortens long ones, puts them in readable order and
says so when nothing answers. Everything in the answer but the numbers and the dots is document text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.answering.citations import cite
from ragstack.answering.evidence import Weighed, rarities, weigh
from ragstack.answering.excerpts import excerpt
from ragstack.answering.questions import asked_kind, holds
from ragstack.answering.statements import Statement, statements
from ragstack.answering.terms import question_terms
from ragstack.records import Citation, Embedder, Passage, TextSource

if TYPE_CHECKING:
    from ragstack.records import FloatArray

NOT_FOUND = "Nothing in the documents seems to answer this."

SENTENCES = 3
CHARACTERS = 600
"""An answer that is read at a glance: three sentences, a short paragraph."""

LONGEST_STATEMENT = 250
SHORTEST_STATEMENT = 80
"""A longer sentence is cut down to the first; with less room than the second, nothing more is added."""

MUCH_LESS_LIKELY = 5.0
"""Log odds below the best statement beyond which another is left out: e^5, about 150 times less likely. On
squad a limit of 4 loses one answer in a hundred from the first three sentences; above 5 hardly any is won."""

SAME_WORDS = 0.8
"""Share of common terms (Jaccard) from which two statements say the same."""

LEAST_SUPPORT = 0.38
"""`Evidence.support` that the best supported statement must have, or nothing answers. On the tuning halves of
squad (48 articles) and chroma it keeps 99.2 and 98.3 % of the answers, and when the document with the answer
is left out refuses 57 and 97 % of the questions."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A statement in the answer, the stretch of it that is shown, and the header row shown above it."""

    weighed: Weighed
    start: int
    end: int
    header: tuple[int, int] | None = None

    @property
    def number(self) -> int:
        """The number of its passage."""
        return self.weighed.statement.number

    @property
    def text(self) -> str:
        """What is shown, on one line, with dots where the sentence goes on."""
        statement = self.weighed.statement
        shown = _on_one_line(statement.passage, self.start, self.end)
        before = "... " if self.start > statement.start else ""
        return before + shown + (" ..." if self.end < statement.end else "")


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """The text with its numbers, the citations in the order of the text, and why these statements.

    `found` is false when nothing answers; the text then says so and nothing is cited.
    """

    text: str
    found: bool
    citations: tuple[Citation, ...] = ()
    chosen: tuple[Chosen, ...] = ()


def answer_extractively(
    question: str,
    passages: Sequence[Passage],
    embedder: Embedder,
    source: TextSource,
    *,
    question_vector: FloatArray | None = None,
    abstain: bool = True,
) -> ExtractiveAnswer:
    """The answer from these passages, which are numbered from 1 in their order.

    The best statement comes first; the others follow passage by passage, in the order of their document.
    Embeds at most `evidence.EMBEDDED_STATEMENTS` sentences, in one batch, and the question unless its
    vector is given. Without `abstain` the best statement is given however little speaks for it.
    """
    candidates = statements(passages)
    weighed = weigh(question, candidates, embedder, question_vector)
    chosen = [] if abstain and not answers(weighed) else _readable(_choose(question, candidates, weighed))
    if not chosen:
        return ExtractiveAnswer(NOT_FOUND, found=False)
    citations = tuple(
        cite(each.number, passages, start, end, source) for each in chosen for start, end in _spans(each)
    )
    return ExtractiveAnswer(_text(chosen), True, citations, tuple(chosen))


def answers(weighed: Sequence[Weighed]) -> bool:
    """Whether any of the statements has enough to do with the question, by meaning and words together."""
    return any(each.evidence.support >= LEAST_SUPPORT for each in weighed)


def _choose(question: str, candidates: Sequence[Statement], weighed: Sequence[Weighed]) -> list[Chosen]:
    """The best statements that differ, as far as they fit, each shortened to what is left."""
    wanted = question_terms(question)
    shares = rarities(wanted, candidates)
    kind = asked_kind(question)
    floor = max((each.evidence.score for each in weighed), default=0.0) - MUCH_LESS_LIKELY
    taken: list[Chosen] = []
    room = CHARACTERS
    for each in weighed:
        limit = min(LONGEST_STATEMENT, room)
        if len(taken) == SENTENCES or limit < SHORTEST_STATEMENT or each.evidence.score < floor:
            break
        statement = each.statement
        if _only_names(statement, wanted) or any(
            _same(statement, other.weighed.statement) for other in taken
        ):
            continue
        start, end = excerpt(statement.text, limit, shares, lambda text: holds(kind, text, question))
        room -= end - start
        header = _new_header(statement, taken, room)
        room -= header[1] - header[0] if header else 0
        taken.append(Chosen(each, statement.start + start, statement.start + end, header))
    return taken


def _new_header(statement: Statement, taken: Sequence[Chosen], room: int) -> tuple[int, int] | None:
    """The header row of a row's table, unless it is shown already or there is no room for it."""
    header = statement.header
    if header is None or header[1] - header[0] > room or header in [other.header for other in taken]:
        return None
    return header


def _only_names(statement: Statement, wanted: Sequence[str]) -> bool:
    """Whether it is a mere word of the question, like a heading that ends in a full stop."""
    return len(statement.terms) <= 1 and statement.terms.issubset(wanted)


def _same(one: Statement, other: Statement) -> bool:
    """Whether two statements have nearly the same words."""
    both = one.terms & other.terms
    return len(both) >= SAME_WORDS * len(one.terms | other.terms)


def _readable(chosen: Sequence[Chosen]) -> list[Chosen]:
    """The best first, then the rest of its passage, then passage by passage, each in document order.

    A row that shows the header of its table comes before the other rows of it.
    """
    if not chosen:
        return []
    best, *rest = chosen
    passages = list(dict.fromkeys(each.number for each in chosen))
    rest.sort(key=lambda each: (passages.index(each.number), each.header is None, each.start))
    return [best, *rest]


def _spans(each: Chosen) -> list[tuple[int, int]]:
    """The spans that a statement cites, in the order in which they are shown."""
    return [each.header, (each.start, each.end)] if each.header else [(each.start, each.end)]


def _text(chosen: Sequence[Chosen]) -> str:
    """The statements with their numbers: those of one passage in one line, rows of tables one a line."""
    lines: list[str] = []
    previous: Chosen | None = None
    for each in chosen:
        if each.header is not None:
            header = _on_one_line(each.weighed.statement.passage, *each.header)
            lines.append(f"{header} [{each.number}]")
        text = f"{each.text} [{each.number}]"
        if previous is not None and previous.number == each.number and not _is_row(each, previous):
            lines[-1] += " " + text
        else:
            lines.append(text)
        previous = each
    return "\n".join(lines)


def _is_row(*chosen: Chosen) -> bool:
    return any(each.weighed.statement.is_row for each in chosen)


def _on_one_line(passage: Passage, start: int, end: int) -> str:
    return " ".join(passage.text[start - passage.start : end - passage.start].split())
