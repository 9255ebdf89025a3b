"""Chroma: a persistent collection; it has no splitter of its own."""

from __future__ import annotations

from pathlib import Path

from common import TOP_K, Ranker, files, main, split


def _collection(store: Path, model: str):
    import chromadb
    from chromadb.config import Settings
    from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

    client = chromadb.PersistentClient(str(store), settings=Settings(anonymized_telemetry=False))
    embed = SentenceTransformerEmbeddingFunction(model_name=model)
    return client.get_or_create_collection(
        "documents", embedding_function=embed, metadata={"hnsw:space": "cosine"}
    )


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    collection = _collection(store, model)
    count = 0
    for path, text in files(folder):
        rows = split(text, model, size, overlap)
        for first in range(0, len(rows), 500):
            batch = rows[first : first + 500]
            collection.upsert(
                ids=[f"{path}:{start}" for start, _ in batch],
                documents=[chunk for _, chunk in batch],
                metadatas=[{"path": path, "start": s, "end": s + len(chunk)} for s, chunk in batch],
            )
        count += len(rows)
    return count


def opened(store: Path, model: str) -> Ranker:
    collection = _collection(store, model)

    def rank(question: str) -> list[tuple[str, int, int]]:
        found = collection.query(query_texts=[question], n_results=TOP_K)
        return [(each["path"], each["start"], each["end"]) for each in found["metadatas"][0]]

    return rank


if __name__ == "__main__":
    main(ingest, opened)
