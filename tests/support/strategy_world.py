"""Documents in memory and readers with known habits: what a strategy does is seen without any model."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field

from packing_world import TextWorld, WordCounter

from ragstack.answering.citations import cite
from ragstack.answering.evidence import lexical_relevance
from ragstack.context.frames import PrintedFrame
from ragstack.context.ledger import open_ledger
from ragstack.context.readers import extractive_reader
from ragstack.records import Citation, Element, ElementKind, Filter, Hit, Landmark, Passage, SelectedDocument
from ragstack.strategies.strategy import ReadingTask


@dataclass
class DocumentWorld(TextWorld):
    """A `DocumentSource` over texts in memory; lines that begin with `#` are headings."""

    def selected_documents(self, where: Filter) -> list[SelectedDocument]:
        documents = [
            SelectedDocument(number, f"notes/{number}.txt", f"Note {number}", len(text), f"hash-{number}")
            for number, text in self.texts.items()
        ]
        patterns = where.paths or ("*",)
        return [each for each in documents if any(fnmatch.fnmatch(each.path, name) for name in patterns)]

    def elements(self, document_id: int) -> tuple[Element, ...]:
        found, at = [], 0
        for line in self.texts[document_id].splitlines(keepends=True):
            if line.startswith("#"):
                level = len(line) - len(line.lstrip("#"))
                title = line.strip("# \n")
                found.append(Element(ElementKind.HEADING, at, at + len(line.rstrip()), level, title))
            at += len(line)
        return tuple(found)

    def landmarks(self, document_id: int, start: int, end: int) -> tuple[Landmark, ...]:
        return ()


@dataclass(frozen=True)
class Reply:
    found: bool
    citations: tuple[Citation, ...] = ()


@dataclass
class WordReader:
    """Cites every place where a word stands; a text is as relevant as it holds the word often.

    `prompts` are the passages of each prompt that it was given, `cards` the summaries.
    """

    word: str
    source: DocumentWorld
    prompts: list[tuple[Passage, ...]] = field(default_factory=list)
    cards: list[tuple[str, ...]] = field(default_factory=list)

    def answer(self, passages: Sequence[Passage]) -> Reply:
        self.prompts.append(tuple(passages))
        citations = []
        for number, passage in enumerate(passages, start=1):
            at = passage.text.find(self.word)
            while at >= 0:
                start = passage.start + at
                citations.append(cite(number, passages, start, start + len(self.word), self.source))
                at = passage.text.find(self.word, at + 1)
        return Reply(bool(citations), tuple(citations))

    def relevance(self, texts: Sequence[str]) -> list[float]:
        self.cards.append(tuple(texts))
        return [float(text.count(self.word)) for text in texts]


def make_task(
    texts: Sequence[str],
    *,
    window: int,
    word: str = "needle",
    where: Filter | None = None,
    hits: Sequence[Hit] = (),
    counter: object = None,
) -> tuple[ReadingTask, WordReader]:
    """A task over these texts, numbered from 1, with a window of so many tokens (words)."""
    world = DocumentWorld(dict(enumerate(texts, start=1)))
    chosen = counter or WordCounter()
    frame = PrintedFrame("Where is it?")
    reader = WordReader(word, world)
    task = ReadingTask(
        question=frame.question,
        ledger=open_ledger(extractive_reader(chosen, window), frame),
        frame=frame,
        counter=chosen,
        source=world,
        where=where or Filter(),
        reader=reader,
        retrieve=lambda: hits,
        relevance=lexical_relevance(frame.question),
    )
    return task, reader


def prose(sentences: int, topic: str = "river") -> str:
    """Numbered sentences of eight words."""
    return "".join(f"Sentence {number} tells of the {topic} and more. " for number in range(sentences))
