"""What of a conversation goes into the next prompt, within a share of its budget.

The latest turns stand there word for word, a window that slides over the conversation. Of older ones those
are recalled that have most to do with the question, each with the sentences of its answer that do. Nothing is
summarised in other words: summaries lose figures and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstack.answering.claims import without_markers
from ragstack.answering.evidence import cut_to_fit
from ragstack.answering.terms import question_terms, terms
from ragstack.chunking.sentences import sentence_spans
from ragstack.context.readers import TokenCounter
from ragstack.records import Embedder, Turn

if TYPE_CHECKING:
    from ragstack.records import FloatArray

HISTORY_SHARE = 0.2
"""Of what passages and history may have together; the surveys' systems keep 15 to 20 % of the prompt."""

VERBATIM_SHARE = 0.6
"""Of the history's tokens for the latest turns, as long as older ones have something to say."""

LEAST_RECALL = 0.25
"""Score below which an old turn has nothing to do with the question (0.6 cosine + 0.4 shared words)."""

EMBEDDED_TURNS = 24
SENTENCES_RECALLED = 2

_ASKED, _ANSWERED = "Question: ", "Answer: "


@dataclass(frozen=True, slots=True)
class Memory:
    """The text for the prompt, and which turns (from 0) are in it, whole or in part."""

    text: str = ""
    verbatim: tuple[int, ...] = ()
    recalled: tuple[int, ...] = ()


def remember(
    question: str, turns: Sequence[Turn], budget: int, *, counter: TokenCounter, embedder: Embedder
) -> Memory:
    """As much of the conversation as `budget` tokens of the reader hold; `question` is the standalone one."""
    if budget < 1 or not turns:
        return Memory()
    written = [_written(turn) for turn in turns]
    older = len(turns) > 1
    verbatim = _latest(written, int(budget * VERBATIM_SHARE) if older else budget, counter)
    rest = [number for number in range(len(turns)) if number not in verbatim]
    ranked = _ranked(question, [turns[number] for number in rest], embedder)
    recalled: dict[int, str] = {}
    for place in ranked:
        number = rest[place]
        excerpt = _excerpt(turns[number], question)
        if _fits({**recalled, number: excerpt}, verbatim, written, budget, counter):
            recalled[number] = excerpt
    verbatim = _widened(verbatim, recalled, written, budget, counter)
    return Memory(_text(recalled, verbatim, written), tuple(sorted(verbatim)), tuple(sorted(recalled)))


def _written(turn: Turn) -> str:
    """A turn as it stands in the prompt; its numbers meant the sources of another prompt, so they go."""
    return f"{_ASKED}{_line(turn.question)}\n{_ANSWERED}{_line(without_markers(turn.answer))}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _latest(written: Sequence[str], budget: int, counter: TokenCounter) -> frozenset[int]:
    """The latest turns that fit whole."""
    kept: list[int] = []
    for number in range(len(written) - 1, -1, -1):
        if counter.count(_joined([written[each] for each in sorted([*kept, number])])) > budget:
            break
        kept.append(number)
    return frozenset(kept)


def _widened(
    verbatim: frozenset[int],
    recalled: dict[int, str],
    written: Sequence[str],
    budget: int,
    counter: TokenCounter,
) -> frozenset[int]:
    """The window over the latest turns, made longer while there is room."""
    number = min(verbatim, default=len(written)) - 1
    while number >= 0 and number not in recalled:
        if not _fits(recalled, verbatim | {number}, written, budget, counter):
            break
        verbatim |= {number}
        number -= 1
    return verbatim


def _fits(
    recalled: dict[int, str],
    verbatim: frozenset[int],
    written: Sequence[str],
    budget: int,
    counter: TokenCounter,
) -> bool:
    return counter.count(_text(recalled, verbatim, written)) <= budget


def _text(recalled: dict[int, str], verbatim: frozenset[int], written: Sequence[str]) -> str:
    """All in the order of the conversation."""
    shown = {**{number: written[number] for number in verbatim}, **recalled}
    return _joined([shown[number] for number in sorted(shown)])


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts)


def _ranked(question: str, turns: Sequence[Turn], embedder: Embedder) -> list[int]:
    """The turns that have to do with the question, the most likely first."""
    wanted = frozenset(question_terms(question))
    texts = [f"{turn.standalone or turn.question} {without_markers(turn.answer)}" for turn in turns]
    shares = [len(wanted & frozenset(terms(text))) / max(1, len(wanted)) for text in texts]
    likely = sorted(range(len(turns)), key=lambda place: -shares[place])[:EMBEDDED_TURNS]
    if not likely:
        return []
    cosines = _cosines(question, [texts[place] for place in likely], embedder)
    scores = {
        place: 0.6 * max(float(cosine), 0.0) + 0.4 * shares[place]
        for place, cosine in zip(likely, cosines, strict=True)
    }
    ranked = sorted(likely, key=lambda place: -scores[place])
    return [place for place in ranked if scores[place] >= LEAST_RECALL]


def _cosines(question: str, texts: Sequence[str], embedder: Embedder) -> FloatArray:
    vectors: FloatArray = embedder.embed_documents(cut_to_fit(texts, embedder))
    return vectors @ embedder.embed_query(cut_to_fit([question], embedder)[0])


def _excerpt(turn: Turn, question: str) -> str:
    """A turn with those sentences of its answer that share most words with the question, in their order."""
    answer = _line(without_markers(turn.answer))
    sentences = [answer[start:end] for start, end in sentence_spans(answer, 0, len(answer))]
    wanted = frozenset(question_terms(question))
    best = sorted(range(len(sentences)), key=lambda place: -len(wanted & frozenset(terms(sentences[place]))))
    kept = sorted(best[:SENTENCES_RECALLED])
    return f"{_ASKED}{_line(turn.question)}\n{_ANSWERED}{' '.join(sentences[place] for place in kept)}"
