"""Extractive summaries of sections and documents: their own sentences, chosen by how common their words are.

SumBasic (Nenkova and Vanderwende, 2005): the sentence whose words are on average the most frequent of the
text comes first; the words it has used then count less, squared, and the next is chosen. No model is run,
nothing is reworded. A summary is for choosing where to read on; answers rest on the text itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragstack.answering.terms import terms
from ragstack.chunking.sentences import sentence_spans
from ragstack.records import SelectedDocument, TextSource
from ragstack.strategies.sections import Section

SECTION_CHARACTERS = 240
DOCUMENT_CHARACTERS = 480
OUTLINE_CHARACTERS = 400
"""A summary is about a tenth of the longest section; a document's is twice that, beside its headings."""

FEWEST_TERMS = 3
"""A sentence of fewer terms says too little to stand for others."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its terms and its place."""

    start: int
    text: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """The sentences that stand for a section, and how often each term occurs in all of it."""

    section: Section
    sentences: tuple[Sentence, ...]
    frequencies: Counter[str]

    @property
    def card(self) -> str:
        """What a reader is shown of it: where it stands, and its summary."""
        return _card(self.section.document, self.section.headings, self.sentences)


def summarise_section(section: Section, source: TextSource) -> SectionSummary:
    """The summary of one section, whose text is read whole."""
    text = source.read_text(section.document.document_id, section.start, section.end)
    spans = sentence_spans(text)
    sentences = [
        Sentence(section.start + start, text[start:end], tuple(terms(text[start:end])))
        for start, end in spans
    ]
    frequencies = Counter(term for sentence in sentences for term in sentence.terms)
    chosen = sum_basic(sentences, frequencies, SECTION_CHARACTERS)
    return SectionSummary(section, tuple(chosen), frequencies)


def document_card(document: SelectedDocument, summaries: Iterable[SectionSummary]) -> str:
    """What a reader is shown of a document: its title, its headings, and the summary of its summaries."""
    sentences: list[Sentence] = []
    frequencies: Counter[str] = Counter()
    titles: dict[str, None] = {}
    for summary in summaries:
        sentences += summary.sentences
        frequencies += summary.frequencies
        titles |= dict.fromkeys(summary.section.headings[-1:])
    chosen = sum_basic(sentences, frequencies, DOCUMENT_CHARACTERS)
    outline = _shortened("; ".join(title for title in titles if title != document.title), OUTLINE_CHARACTERS)
    return _card(document, (outline,) if outline else (), chosen)


def sum_basic(sentences: Sequence[Sentence], frequencies: Counter[str], characters: int) -> list[Sentence]:
    """The sentences that stand for all, in their order, of at most so many characters together.

    The first is taken in any case and shortened if need be. Without a sentence of a few terms, the longest.
    """
    total = max(1, frequencies.total())
    weights = {term: count / total for term, count in frequencies.items()}
    waiting = [each for each in sentences if len(each.terms) >= FEWEST_TERMS] or list(sentences[:1])
    chosen: list[Sentence] = []
    room = characters
    while waiting:
        best = max(waiting, key=lambda each: (_mean_weight(each, weights), -each.start))
        chosen.append(Sentence(best.start, _shortened(best.text, characters), best.terms))
        room -= len(best.text)
        for term in set(best.terms):
            weights[term] **= 2
        waiting = [each for each in waiting if each is not best and len(each.text) <= room]
    return sorted(chosen, key=lambda each: each.start)


def _mean_weight(sentence: Sentence, weights: dict[str, float]) -> float:
    return sum(weights[term] for term in sentence.terms) / max(1, len(sentence.terms))


def _card(document: SelectedDocument, headings: Sequence[str], sentences: Sequence[Sentence]) -> str:
    where = [document.title or document.path, *headings]
    body = " ".join(" ".join(sentence.text.split()) for sentence in sentences)
    return f"{' > '.join(dict.fromkeys(where))}\n{body}"


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters].rsplit(None, 1)[0]
