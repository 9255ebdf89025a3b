"""The documents of a data set in a store: written out if need be, ingested, and found again by their names.

A cache directory holds one store for every data set, model and chunk size, so that what was embedded once is
never embedded again; without one the store is temporary. Not responsible for asking anything of it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ragstack.config import DEFAULT_CHUNK_SIZE, DEFAULT_MODEL, default_overlap
from ragstack.errors import StoreError, UsageError
from ragstack.evaluation.datasets import CORPUS, DOCUMENTS, Dataset, Layout, corpus_documents
from ragstack.evaluation.spans import Span
from ragstack.records import ChunkerSettings, Embedder, Hit, IngestReport
from ragstack.system import RAGSystem

if TYPE_CHECKING:
    from ragstack.ingestion.observer import IngestObserver

_WRITTEN_AS = "1"
"""Version of how a BEIR corpus is written out; another one writes it anew."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """How the documents are to be indexed: None stands for the default. An `embedder` replaces `model`."""

    model: str | None = None
    chunk_size: int | None = None
    overlap: int | None = None
    offline: bool = False
    embedder: Embedder | None = None

    @property
    def settings(self) -> ChunkerSettings:
        """The chunker settings that a store made so has."""
        size = self.chunk_size or DEFAULT_CHUNK_SIZE
        return ChunkerSettings(size, default_overlap(size) if self.overlap is None else self.overlap)


@dataclass(slots=True)
class IndexedCorpus:
    """A data set and the store that holds all its documents; good until `open_corpus` ends.

    `report` says what the ingest did, `document_ids` are the store's by path, `names` are BEIR's by path.
    """

    dataset: Dataset
    system: RAGSystem
    report: IngestReport
    settings: ChunkerSettings
    chunks: int
    document_ids: Mapping[str, int]
    names: Mapping[str, str]
    _texts: dict[str, str] = field(default_factory=dict)

    def text(self, document: str) -> str:
        """The text of a document whole, as the store holds it; read once."""
        if document not in self._texts:
            with self.system.store.read() as snapshot:
                self._texts[document] = snapshot.document(self.document_ids[document]).text
        return self._texts[document]

    def span(self, hit: Hit) -> Span:
        """Where a hit lies, by the data set's name of its document."""
        return self.span_in(hit.chunk.path, hit.chunk.start, hit.chunk.end)

    def span_in(self, path: str, start: int, end: int) -> Span:
        """A span of a stored document, by the data set's name of it."""
        return Span(_normalised(path), start, end)

    def name(self, hit: Hit) -> str:
        """The data set's id of the document of a hit."""
        path = _normalised(hit.chunk.path)
        return self.names.get(path, path)


@contextmanager
def open_corpus(
    dataset: Dataset,
    indexing: Indexing,
    *,
    cache: Path | None = None,
    observer: IngestObserver | None = None,
    announce: Callable[[str], None] | None = None,
) -> Iterator[IndexedCorpus]:
    """The documents of `dataset` in a store, ingested now unless `cache` holds them already.

    `observer` follows the ingest; `announce` is told of downloads and of what was healed. Raises StoreError
    when a document could not be ingested, and UsageError when gold spans do not lie in the stored texts.
    """
    with _directory(cache) as directory:
        folder, names = _documents(dataset, directory)
        store = directory / _store_name(dataset, indexing)
        with RAGSystem.open(
            store,
            model=indexing.model,
            chunk_size=indexing.settings.size,
            overlap=indexing.settings.overlap,
            offline=indexing.offline,
            announce=announce,
            embedder=indexing.embedder,
        ) as system:
            report = system.ingest(folder, prune=True, observer=observer)
            corpus = _indexed(dataset, system, report, names, indexing.settings)
            _check_gold(corpus)
            yield corpus


@contextmanager
def _directory(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="ragstack-evaluation-") as temporary:
        yield Path(temporary)


def _store_name(dataset: Dataset, indexing: Indexing) -> str:
    """One name for everything that decides what is in the store, but for the documents' content."""
    settings = indexing.settings
    model = indexing.embedder.fingerprint.key if indexing.embedder else indexing.model or DEFAULT_MODEL
    identity = json.dumps([dataset.folder.resolve().as_posix(), model, asdict(settings)])
    digest = hashlib.sha256(identity.encode("utf-8")).hexdigest()[:8]
    return f"{dataset.name}-{settings.size}-{settings.overlap}-{digest}"


def _indexed(
    dataset: Dataset,
    system: RAGSystem,
    report: IngestReport,
    names: Mapping[str, str],
    settings: ChunkerSettings,
) -> IndexedCorpus:
    if report.failed:
        first = report.failed[0]
        raise StoreError(f"{len(report.failed)} documents failed, first `{first.path}`: {first.reason}")
    with system.store.read() as snapshot:
        documents = snapshot.documents()
    return IndexedCorpus(
        dataset=dataset,
        system=system,
        report=report,
        settings=settings,
        chunks=sum(info.chunks for info in documents),
        document_ids={_normalised(info.path): info.document_id for info in documents},
        names=names,
    )


def _check_gold(corpus: IndexedCorpus) -> None:
    """UsageError unless every gold span lies in its document as stored, and is its quote if it has one."""
    for question in corpus.dataset.questions:
        golds = [*zip(question.evidence, question.quotes, strict=True)]
        golds += [(question.paragraph, "")] if question.paragraph else []
        for span, quote in golds:
            problem = _gold_problem(corpus, span, quote)
            if problem:
                raise UsageError(
                    f"question {question.id!r} of `{corpus.dataset.folder}`: {problem}",
                    hint="offsets must count characters of the text that `ragstack inspect document` shows",
                )


def _gold_problem(corpus: IndexedCorpus, span: Span, quote: str) -> str | None:
    if span.document not in corpus.document_ids:
        return f"the document `{span.document}` was not ingested"
    text = corpus.text(span.document)
    if span.end > len(text):
        return f"evidence ends at {span.end}, but `{span.document}` has {len(text)} characters"
    if quote and text[span.start : span.end] != quote:
        return f"`{span.document}` has another text than the quote at {span.start} to {span.end}"
    return None


def _normalised(path: str) -> str:
    return unicodedata.normalize("NFC", path)


# ---------------------------------------------------------------------------- BEIR as files


def _documents(dataset: Dataset, directory: Path) -> tuple[Path, dict[str, str]]:
    """The folder to ingest, and BEIR's document ids by path within it."""
    if dataset.layout is Layout.SPANS:
        return dataset.folder / DOCUMENTS, {}
    folder = directory / f"{dataset.name}-{DOCUMENTS}"
    names = {_file_name(number): each.id for number, each in enumerate(corpus_documents(dataset.folder))}
    marker = directory / f"{folder.name}.written"
    content = hashlib.sha256((dataset.folder / CORPUS).read_bytes()).hexdigest()
    written = f"{_WRITTEN_AS} {content}"
    if not marker.is_file() or marker.read_text(encoding="ascii") != written:
        marker.unlink(missing_ok=True)
        _write_corpus(dataset, folder)
        _remove_rest(folder, names)
        marker.write_text(written, encoding="ascii")
    return folder, names


def _write_corpus(dataset: Dataset, folder: Path) -> None:
    """Every document as a Markdown file, its title as the heading; ids may hold what file names may not.

    One ingest of files embeds in large batches; adding the documents one by one would not.
    """
    folder.mkdir(exist_ok=True)
    for number, document in enumerate(corpus_documents(dataset.folder)):
        heading = f"# {document.title}\n\n" if document.title else ""
        content = (heading + document.text).encode("utf-8", errors="replace")
        (folder / _file_name(number)).write_bytes(content)


def _remove_rest(folder: Path, names: Mapping[str, str]) -> None:
    """Remove what an earlier, longer corpus left behind; other files are none of ours."""
    for path in folder.glob("[0-9]*.md"):
        if path.name not in names:
            path.unlink()


def _file_name(number: int) -> str:
    """A name without a letter in its stem, which therefore never becomes a title."""
    return f"{number:07}.md"
