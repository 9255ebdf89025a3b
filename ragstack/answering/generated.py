"""An answer that a language model writes from packed passages: written, checked, cited.

Joins `generation` (what the model wrote) and `checking` (what that rests on), as `extractive` joins its own
steps. The prompt is given; when the model fails, what there is of the answer is kept and the failure told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragstack.answering.checking import check, refuses
from ragstack.answering.generation import Prediction, write_answer
from ragstack.answering.prompt import LanguageModelFrame
from ragstack.records import (
    CheckedSentence,
    Citation,
    Embedder,
    Generation,
    Generator,
    Passage,
    SupportState,
    TextSource,
)


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """The text, its citations in order, every sentence with what checking came to, and how it was written.

    `found` is false when the model says that the sources do not answer, or when nothing was written.
    """

    text: str
    found: bool
    citations: tuple[Citation, ...]
    sentences: tuple[CheckedSentence, ...]
    generation: Generation
    warnings: tuple[str, ...] = ()


def answer_by_generation(
    generator: Generator,
    frame: LanguageModelFrame,
    passages: Sequence[Passage],
    embedder: Embedder,
    source: TextSource,
    *,
    max_tokens: int,
    prediction: Prediction,
    show: Callable[[str], None] | None = None,
) -> GeneratedAnswer:
    """Have the answer written and check it; `show` is given the text as it comes."""
    written = write_answer(
        generator, frame.messages(passages), max_tokens=max_tokens, prediction=prediction, show=show
    )
    checked = check(frame.question, written.text, passages, embedder, source)
    return GeneratedAnswer(
        text=written.text,
        found=bool(written.text) and not refuses(written.text),
        citations=checked.citations,
        sentences=checked.sentences,
        generation=written.generation,
        warnings=(*written.warnings, *_findings(checked.sentences, written.text, len(passages))),
    )


def _findings(sentences: Sequence[CheckedSentence], text: str, passages: int) -> list[str]:
    """A line for each sentence that its sources do not bear out."""
    lines = []
    if text and not refuses(text) and not any(each.numbers or each.unknown for each in sentences):
        lines.append("the answer cites nothing, so none of it could be checked")
    for each in sentences:
        shown = _shortened(" ".join(text[each.start : each.end].split()))
        if each.state is SupportState.UNKNOWN_SOURCE:
            cited = ", ".join(f"[{number}]" for number in each.unknown)
            lines.append(f"{cited} cites no source, there are {passages}: {shown}")
        elif each.state in (SupportState.UNSUPPORTED, SupportState.WRONG_QUOTE):
            lines.append(f"{each.state.value}: {shown}")
    return lines


def _shortened(sentence: str, limit: int = 160) -> str:
    return sentence if len(sentence) <= limit else sentence[: limit - 3] + "..."
