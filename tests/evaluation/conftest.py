"""Small data sets on disk, and stores that hold their documents, made with a deterministic embedder."""

import json

import pytest
from deterministic_embedder import DeterministicEmbedder
from evaluation_data import CORPUS, DOCUMENTS, QUERIES, QUESTIONS

from ragstack.evaluation.corpus import Indexing, open_corpus


@pytest.fixture
def write_lines():
    def write(path, rows):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def span_folder(tmp_path, write_lines):
    """A span folder; call it with other questions to replace them."""

    def make(questions=QUESTIONS, documents=DOCUMENTS, name="harbour"):
        folder = tmp_path / name
        (folder / "documents").mkdir(parents=True, exist_ok=True)
        for document, text in documents.items():
            (folder / "documents" / document).write_text(text, encoding="utf-8", newline="\n")
        write_lines(folder / "questions.jsonl", questions)
        return folder

    return make


@pytest.fixture
def beir_folder(tmp_path, write_lines):
    """A BEIR folder; `splits` are the lines of its judgements by name."""

    def make(corpus=CORPUS, queries=QUERIES, splits=None):
        folder = tmp_path / "beir"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        write_lines(folder / "corpus.jsonl", corpus)
        write_lines(folder / "queries.jsonl", queries)
        default = {"train": ["query-id\tcorpus-id\tscore", "q1\tMED/10\t1", "q2\ta:b\t2", "q2\t7\t0"]}
        for name, lines in (default if splits is None else splits).items():
            write_lines(folder / "qrels" / f"{name}.tsv", lines)
        return folder

    return make


@pytest.fixture
def embedder():
    return DeterministicEmbedder(dimension=256)


@pytest.fixture
def indexed(embedder, tmp_path):
    """Ingest a data set into a store below the temporary directory."""

    def opened(dataset, *, chunk_size=16, overlap=0, cache=tmp_path / "cache"):
        indexing = Indexing(chunk_size=chunk_size, overlap=overlap, embedder=embedder)
        return open_corpus(dataset, indexing, cache=cache)

    return opened
