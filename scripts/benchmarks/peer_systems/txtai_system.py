"""txtai: its embeddings database with content in SQLite; it has no window splitter of its own."""

from __future__ import annotations

import json
from pathlib import Path

from common import TOP_K, Ranker, files, main, split


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    from txtai import Embeddings

    embeddings = Embeddings(path=model, content=True)
    rows = [
        (f"{path}:{start}", chunk, json.dumps([path, start, start + len(chunk)]))
        for path, text in files(folder)
        for start, chunk in split(text, model, size, overlap)
    ]
    embeddings.index(rows)
    embeddings.save(str(store))
    return len(rows)


def opened(store: Path, model: str) -> Ranker:  # noqa: ARG001  the store names its model
    from txtai import Embeddings

    embeddings = Embeddings()
    embeddings.load(str(store))

    def rank(question: str) -> list[tuple[str, int, int]]:
        rows = embeddings.search(
            "select tags, score from txtai where similar(:question)", TOP_K, parameters={"question": question}
        )
        return [tuple(json.loads(row["tags"])) for row in rows]

    return rank


if __name__ == "__main__":
    main(ingest, opened)
