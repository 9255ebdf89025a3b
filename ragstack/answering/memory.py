"""What of a conversation goes into the next prompt, within a share of its budget.

The latest turns stand there word for word, a window that slides over the conversation. Of older ones those
are recalled that have most to do with the question, each with the sentences of its answer that do. Nothing is
summarised in other words: summaries lose figures and names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_ASKED, _ANSWERED, _BETWEEN = "Question: ", "Answer: ", "\n\n"


@dataclass(frozen=True, slots=True)
class Memory:
    """The text for the prompt, and which turns (from 0) are in it, whole or in part."""

    text: str = ""
    verbatim: tuple[int, ...] = ()
    recalled: tuple[int, ...] = ()


def remember(
    question: str, turns: Sequence[Turn], budget: int, *, counter: TokenCounter, embedder: Embedder
) -> Memory:
    """As much of the conversation as `budget` tokens of the reader hold; `question` is the standalone one.

    What is planned by the tokens of single turns is counted whole in the end, as it will be sent.
    """
    if budget < 1 or not turns:
        return Memory()
    written = [_written(turn) for turn in turns]
    costs = _costs(written, counter)
    share = VERBATIM_SHARE if len(turns) > 1 else 1.0
    verbatim = _latest(costs, int(budget * share))
    older = range(len(turns) - len(verbatim))
    ranked = _ranked(question, [turns[number] for number in older], embedder)
    excerpts = {number: _excerpt(turns[number], question) for number in ranked}
    prices = dict(zip(excerpts, _costs(list(excerpts.values()), counter), strict=True))
    recalled = _affordable(prices, budget - sum(costs[number] for number in verbatim))
    spent = sum(costs[number] for number in verbatim) + sum(prices[number] for number in recalled)
    verbatim += _latest(costs[: len(older)], budget - spent, stop=frozenset(recalled))
    return _counted(written, excerpts, verbatim, recalled, budget, counter)


def _written(turn: Turn) -> str:
    """A turn as it stands in the prompt; its numbers meant the sources of another prompt, so they go."""
    return f"{_ASKED}{_line(turn.question)}\n{_ANSWERED}{_line(without_markers(turn.answer))}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _costs(texts: Sequence[str], counter: TokenCounter) -> list[int]:
    """Tokens of each text and of the blank line after it, in one batch."""
    return counter.count_many([text + _BETWEEN for text in texts]) if texts else []


def _latest(costs: Sequence[int], budget: int, stop: frozenset[int] = frozenset()) -> list[int]:
    """The latest turns that fit whole, the newest first, up to one that is there already."""
    kept: list[int] = []
    for number in range(len(costs) - 1, -1, -1):
        budget -= costs[number]
        if budget < 0 or number in stop:
            break
        kept.append(number)
    return kept


def _affordable(prices: Mapping[int, int], budget: int) -> list[int]:
    """Turns by their rank as far as they fit; one that does not is passed over."""
    taken = []
    for number, price in prices.items():
        if price <= budget:
            taken.append(number)
            budget -= price
    return taken


def _counted(
    written: Sequence[str],
    excerpts: Mapping[int, str],
    verbatim: Sequence[int],
    recalled: Sequence[int],
    budget: int,
    counter: TokenCounter,
) -> Memory:
    """What was planned, less its least important turns if all together has more tokens than the sum."""
    important = [*verbatim[:1], *recalled, *verbatim[1:]]
    while important:
        shown = {number: excerpts[number] if number in recalled else written[number] for number in important}
        text = _BETWEEN.join(shown[number] for number in sorted(shown))
        if counter.count(text) <= budget:
            whole, parts = set(verbatim) & set(shown), set(recalled) & set(shown)
            return Memory(text, tuple(sorted(whole)), tuple(sorted(parts)))
        important.pop()
    return Memory()


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
