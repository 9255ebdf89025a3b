"""LangChain: RecursiveCharacterTextSplitter and its FAISS vector store, saved to a folder."""

from __future__ import annotations

from pathlib import Path

from common import TOP_K, Ranker, files, main, split


def _embeddings(model: str):
    from langchain_huggingface import HuggingFaceEmbeddings

    return HuggingFaceEmbeddings(model_name=model)


def ingest(folder: Path, store: Path, model: str, size: int | None, overlap: int) -> int:
    from langchain_community.vectorstores import FAISS

    texts, metadata = [], []
    for path, text in files(folder):
        for start, chunk in split(text, model, size, overlap):
            texts.append(chunk)
            metadata.append({"path": path, "start": start, "end": start + len(chunk)})
    FAISS.from_texts(texts, _embeddings(model), metadatas=metadata).save_local(str(store))
    return len(texts)


def opened(store: Path, model: str) -> Ranker:
    from langchain_community.vectorstores import FAISS

    # Its documents are pickled; the flag says that we trust the file that we have just written.
    vectors = FAISS.load_local(str(store), _embeddings(model), allow_dangerous_deserialization=True)

    def rank(question: str) -> list[tuple[str, int, int]]:
        found = vectors.similarity_search(question, k=TOP_K)
        return [(each.metadata["path"], each.metadata["start"], each.metadata["end"]) for each in found]

    return rank


if __name__ == "__main__":
    main(ingest, opened)
