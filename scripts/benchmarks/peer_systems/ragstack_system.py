"""ragstack itself, through its Python API: the passages packed under the budget, in the prompt's order."""

from __future__ import annotations

import os
from pathlib import Path

from common import Ranker, main

from ragstack import RAGSystem

BUDGET = int(os.environ.get("PEERS_BUDGET", "1000"))


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    given = {} if size is None else {"chunk_size": size, "overlap": overlap}
    with RAGSystem.open(store, model=model, offline=True, **given) as system:
        return system.ingest(folder).chunks


def opened(store: Path, model: str) -> Ranker:
    system = RAGSystem.open(store, model=model, offline=True, create=False)

    def rank(question: str) -> list[tuple[str, int, int]]:
        answer = system.ask(question, budget=BUDGET, abstain=False)
        return [(passage.path, passage.start, passage.end) for passage in answer.passages]

    return rank


if __name__ == "__main__":
    main(ingest, opened)
