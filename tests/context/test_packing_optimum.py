"""The packer against the optimum of its objective, found by trying every choice of windows.

The objective is written down here a second time, over single words, without any of the packer's code.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

from packing_world import TextWorld, WordCounter

from ragstack.context.frames import PrintedFrame
from ragstack.context.packing import pack
from ragstack.records import Hit, Passage

HEADER_WORDS = 4  # "[1] notes/1.txt, line 1"
INSTANCES = 400

Place = tuple[int, int]  # a document and the number of a word in it


@dataclass(frozen=True)
class Instance:
    """Up to eight windows on up to four documents without punctuation, so that nothing can be trimmed."""

    world: TextWorld
    hits: list[Hit]
    minimum_relevance: float
    budget: int

    @classmethod
    def from_seed(cls, seed: int) -> Instance:
        generator = random.Random(seed)
        documents = range(1, generator.randint(2, 5))
        lengths = {document: generator.randint(10, 60) for document in documents}
        world = TextWorld({each: words_of(each, length) for each, length in lengths.items()})
        hits: dict[tuple[int, int, int], Hit] = {}  # by place: the same window twice is one
        for chunk_id in range(generator.randint(2, 8)):
            document = generator.choice(documents)
            first = generator.randrange(lengths[document])
            last = generator.randint(first, min(first + 30, lengths[document] - 1))
            score = generator.uniform(0.5, 1) ** generator.choice([1, 3])
            hits[document, first, last] = world.hit(document, 5 * first, 5 * last + 4, score, chunk_id)
        ranked = sorted(hits.values(), key=lambda hit: -hit.score)
        return cls(world, ranked, generator.choice([0.0, 0.05, 0.3, 0.8]), generator.randint(10, 120))

    def words(self, hits: Iterable[Hit]) -> set[Place]:
        return set(
            chain.from_iterable(places(hit.chunk.document_id, hit.chunk.start, hit.chunk.end) for hit in hits)
        )

    def objective(self, words: set[Place]) -> float:
        """Sum of value - price x tokens of these words."""
        best = max(hit.score for hit in self.hits)
        rates: dict[Place, float] = {}
        for hit in self.hits:
            rate = (hit.score / best) ** 8 / len(self.words([hit]))
            for place in self.words([hit]):
                rates[place] = max(rates.get(place, 0.0), rate)
        price = self.minimum_relevance / statistics.median(len(self.words([hit])) for hit in self.hits)
        return sum(rates[place] for place in words) - price * tokens(words)

    def optimum(self) -> float:
        """The best objective of any choice of whole windows that fits."""
        choices = chain.from_iterable(combinations(self.hits, size) for size in range(len(self.hits) + 1))
        covered = (self.words(choice) for choice in choices)
        return max(self.objective(words) for words in covered if tokens(words) <= self.budget)


def words_of(document: int, length: int) -> str:
    """Words of four letters, all different: the same text twice would be packed once."""
    return " ".join(f"{'abcde'[document]}{number:03}" for number in range(length))


def places(document: int, start: int, end: int) -> Iterator[Place]:
    return ((document, number) for number in range(start // 5, (end + 1) // 5))


def tokens(words: set[Place]) -> int:
    """The words, and a header for each run of them."""
    begins = sum((document, number - 1) not in words for document, number in words)
    return len(words) + HEADER_WORDS * begins


def packed_words(passages: Iterable[Passage]) -> set[Place]:
    return set(chain.from_iterable(places(each.document_id, each.start, each.end) for each in passages))


def gap(seed: int) -> float | None:
    """By which share the packing is worth less than the optimum; None where nothing is worth packing."""
    instance = Instance.from_seed(seed)
    optimum = instance.optimum()
    if optimum <= 1e-9:
        return None
    packing = pack(
        instance.hits,
        instance.budget,
        source=instance.world,
        frame=PrintedFrame("question"),
        counter=WordCounter(),
        minimum_relevance=instance.minimum_relevance,
    )
    words = packed_words(packing.passages)
    assert packing.tokens == tokens(words) <= instance.budget
    return max(0.0, 1 - instance.objective(words) / optimum)


def test_the_packer_comes_close_to_the_optimum_of_its_objective() -> None:
    gaps = [each for each in map(gap, range(INSTANCES)) if each is not None]
    assert len(gaps) > INSTANCES * 0.7
    assert statistics.mean(gaps) <= 0.02
    assert max(gaps) <= 0.10
