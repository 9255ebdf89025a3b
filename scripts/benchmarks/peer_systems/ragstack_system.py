"""ragstack itself, through its Python API: the passages packed under the budget, in the prompt's order.

Timed is the search alone, as with the others, whose programs pack and answer nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from common import TOP_K, Asked, main

from ragstack import RAGSystem

BUDGET = int(os.environ.get("PEERS_BUDGET", "1000"))


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    given = {} if size is None else {"chunk_size": size, "overlap": overlap}
    with RAGSystem.open(store, model=model, offline=True, **given) as system:
        return system.ingest(folder).chunks


def opened(store: Path, model: str) -> Asked:
    system = RAGSystem.open(store, model=model, offline=True, create=False)

    def search(question: str) -> list[tuple[str, int, int]]:
        hits = system.retrieve(question, TOP_K)
        return [(hit.chunk.path, hit.chunk.start, hit.chunk.end) for hit in hits]

    def pack(question: str) -> list[tuple[str, int, int]]:
        answer = system.ask(question, budget=BUDGET, abstain=False)
        return [(passage.path, passage.start, passage.end) for passage in answer.passages]

    return Asked(search, pack)


if __name__ == "__main__":
    main(ingest, opened)
