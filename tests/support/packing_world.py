"""Documents in memory, hits on them, and counters with a temper, for the tests of ledger and packer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragstack.records import Hit, Location, Passage, StoredChunk


@dataclass
class TextWorld:
    """A `TextSource` over texts in memory; places are line numbers. `reads` are the spans asked for."""

    texts: dict[int, str]
    reads: list[tuple[int, int, int]] = field(default_factory=list)

    def read_text(self, document_id: int, start: int, end: int) -> str:
        self.reads.append((document_id, start, end))
        return self.texts[document_id][start:end]

    def locate(self, document_id: int, start: int, end: int) -> Location:
        text = self.texts[document_id]
        return Location(first_line=text.count("\n", 0, start) + 1, last_line=text.count("\n", 0, end) + 1)

    def hit(
        self,
        document_id: int,
        start: int,
        end: int,
        score: float,
        chunk_id: int = 0,
        headings: tuple[str, ...] = (),
    ) -> Hit:
        text = self.texts[document_id][start:end]
        chunk = StoredChunk(
            chunk_id=chunk_id,
            document_id=document_id,
            position=0,
            start=start,
            end=end,
            text=text,
            tokens=len(text.split()),
            headings=headings,
            path=f"notes/{document_id}.txt",
            title=f"Note {document_id}",
            media_type="text/plain",
            content_hash=f"hash-{document_id}",
        )
        return Hit(chunk, score)

    def hit_on(self, document_id: int, text: str, score: float, chunk_id: int = 0) -> Hit:
        """The hit on the first place where the document says this."""
        start = self.texts[document_id].index(text)
        return self.hit(document_id, start, start + len(text), score, chunk_id)


class WordCounter:
    """A token is a word: sums over pieces are exact. `calls` counts the batches, `texts` what was counted."""

    def __init__(self) -> None:
        self.calls = 0
        self.texts: list[str] = []

    def count(self, text: str) -> int:
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        self.calls += 1
        self.texts.extend(texts)
        return [len(text.split()) for text in texts]


class QuarterCounter:
    """Four characters are a token, and a rest counts as one: pieces add up to more than the whole."""

    def count(self, text: str) -> int:
        return -(-len(text) // 4)

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]


class GrudgingCounter:
    """Charges a token for every fifty characters beyond the words: the whole costs more than its pieces."""

    def count(self, text: str) -> int:
        return len(text.split()) + len(text) // 50

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]


def passage(text: str, *, start: int = 0, score: float = 1.0, **changes: object) -> Passage:
    """A passage of document 1 that stands at `start`."""
    values: dict[str, object] = {
        "document_id": 1, "path": "notes/1.txt", "title": "Note 1", "start": start, "end": start + len(text),
        "text": text, "tokens": len(text.split()), "score": score,
    }  # fmt: skip
    return Passage(**(values | changes))
