"""RAGSystem: the stages joined, in the order in which a document and then a question pass through them.

    ingest, add_document   loading -> chunking -> embedding -> store    (in detail: `ingestion`)
    retrieve, ask          embedding -> store -> retrieval -> context -> answering

Everything the command line does, it does through this class. A system opens the embedder only when it is
needed, and the store remembers which embedder and chunker settings it was made with.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ragstack.config import DEFAULT_CHUNK_SIZE, DEFAULT_WINDOW, default_overlap
from ragstack.errors import EmbedderMismatchError, UsageError
from ragstack.records import (
    Answer,
    ChunkerSettings,
    Embedder,
    Filter,
    Hit,
    IngestReport,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ragstack.ingestion.batch import DocumentBatch
    from ragstack.ingestion.observer import IngestObserver
    from ragstack.records import FloatArray
    from ragstack.store.catalog import SourceInfo
    from ragstack.store.generations import IndexGeneration
    from ragstack.store.maintenance import Repair
    from ragstack.store.snapshot import Snapshot
    from ragstack.store.store import Store
    from ragstack.store.verification import Verification
    from ragstack.store.writer import Writer

CANDIDATES = 50
"""Hits that the packer may choose from unless `top_k` says otherwise: far more than any window holds."""

_EVERYTHING = Filter()


def _ignore(_text: str) -> None:
    """For callers that do not want to be told."""


class RAGSystem:
    """A store, its embedder, and everything that can be done with them. A context manager.

    `RAGSystem()` is a system on a temporary store that is gone after `close`. `d_model` is accepted for the
    sake of older code and must equal the dimension of the embedder.
    """

    def __init__(self, d_model: int | None = None, *, embedder: Embedder | None = None) -> None:
        self._set_up(Path(tempfile.mkdtemp(prefix="ragstack-")), embedder=embedder)
        self._temporary = True
        self._create_store()
        if d_model is not None and d_model != self.embedder.dimension:
            self.close()
            raise UsageError(
                f"d_model is {d_model}, but the embedder has {self.embedder.dimension} dimensions",
                hint="leave `d_model` out, or give the dimension of the embedding model",
            )

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        model: str | None = None,
        chunk_size: int | None = None,
        overlap: int | None = None,
        offline: bool = False,
        create: bool = True,
        announce: Callable[[str], None] | None = None,
        embedder: Embedder | None = None,
    ) -> Self:
        """Open the store in the directory `path`, or (`create`) begin a new one there.

        `model`, `chunk_size` and `overlap` (tokens) are fixed by the first document of a store; later they
        may be left out, and others are refused with EmbedderMismatchError. `announce` is told, in one line
        each, of downloads and of anything that was healed. An `embedder` takes the place of `model`.
        Raises StoreNotFoundError when there is no store and `create` is false.
        """
        system = cls.__new__(cls)
        system._set_up(
            Path(path),
            model=model,
            chunk_size=chunk_size,
            overlap=overlap,
            offline=offline,
            announce=announce,
            embedder=embedder,
        )
        if create:
            system._create_store()
        else:
            system._open_store()
        return system

    def _set_up(
        self,
        path: Path,
        *,
        model: str | None = None,
        chunk_size: int | None = None,
        overlap: int | None = None,
        offline: bool = False,
        announce: Callable[[str], None] | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.path = path
        self._model = model
        self._chunk_size = chunk_size
        self._overlap = overlap
        self._offline = offline
        self._announce = announce or _ignore
        self._given_embedder = embedder
        self._temporary = False
        self._store: Store | None = None

    # -------------------------------------------------------------------- lifetime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the store; a temporary one is deleted."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)

    def _create_store(self) -> None:
        from ragstack.store.store import Store

        self._store = Store.create(self.path, warn=self._announce)

    def _open_store(self) -> None:
        from ragstack.store.store import Store

        self._store = Store.open(self.path, warn=self._announce)

    @property
    def store(self) -> Store:
        """The open store; for inspection."""
        if self._store is None:
            raise UsageError("this RAGSystem is closed", hint="open it again with `RAGSystem.open(path)`")
        return self._store

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder of this store: the one it was made with, else the one asked for, else the default."""
        if self._given_embedder is not None:
            return self._given_embedder
        from ragstack.embedding.open import open_embedder

        generation = self.generation
        name = self._model or (generation.fingerprint.name if generation else None)
        return open_embedder(name, offline=self._offline, announce=self._announce)

    @property
    def generation(self) -> IndexGeneration | None:
        """With which embedder and settings the index was made; None while the store is empty."""
        from ragstack.store.generations import current_generation

        with self.store.read() as snapshot:
            return current_generation(snapshot.connection)

    # ------------------------------------------------------------------- documents

    def ingest(
        self,
        paths: Sequence[Path | str] | Path | str,
        *,
        prune: bool | None = None,
        checksum: bool = False,
        dry_run: bool = False,
        observer: IngestObserver | None = None,
    ) -> IngestReport:
        """Bring the store in step with files and folders; unchanged files are not read again.

        Documents whose files are gone are removed, unless that is over half of a folder or the folder itself
        is gone; `prune=True` removes them all the same, `prune=False` never. A file that cannot be read is
        in the report and stops nothing. `checksum` reads and hashes also the files whose size and times are
        the same. `dry_run` changes nothing and reports what would happen. Ctrl-C raises IngestInterrupted,
        which carries the report; what was committed stays.
        """
        from ragstack.ingestion.observer import SilentObserver
        from ragstack.ingestion.run import Ingest

        listed = [paths] if isinstance(paths, Path | str) else list(paths)
        with nullcontext(None) if dry_run else self._writing() as writer:
            ingest = Ingest(
                observer=observer or SilentObserver(),
                writer=writer,
                connect=self._connect,
                open_batch=lambda: self._open_batch(writer, observer or SilentObserver()),
                prune=prune,
                checksum=checksum,
                excluded=(self.path.resolve(),),
            )
            return ingest.run([Path(path) for path in listed])

    def add_document(
        self,
        text: str,
        *,
        name: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Store a text as a document; returns its id.

        The same `name` replaces what it named before; without a name the content is its name, so that
        adding a text twice stores it once. Raises UsageError for a blank text.
        """
        from ragstack.ingestion.observer import SilentObserver
        from ragstack.ingestion.texts import commit_text

        if not text.strip():
            raise UsageError("the document is empty", hint="pass a text with at least one word")
        with self._writing() as writer:
            return commit_text(
                writer,
                lambda: self._open_batch(writer, SilentObserver()),
                text,
                name=name,
                title=title,
                metadata=metadata or {},
            )

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self.store.write() as writer:
            self._require_settings(writer.generation())
            yield writer

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self.store.read() as snapshot:
            yield snapshot.connection

    def _require_settings(self, generation: IndexGeneration | None) -> None:
        """EmbedderMismatchError if what was asked for is not what the index was made with."""
        from ragstack.store.generations import require_same_embedder

        if generation is None:
            return
        if self._given_embedder is not None or self._model is not None:
            require_same_embedder(generation, self.embedder.fingerprint)
        for name, asked, made in (
            ("chunk size", self._chunk_size, generation.settings.size),
            ("overlap", self._overlap, generation.settings.overlap),
        ):
            if asked is not None and asked != made:
                raise EmbedderMismatchError(
                    f"the store was made with a {name} of {made} tokens, not {asked}",
                    hint=f"leave the {name} out, or ingest into a new store with `--store DIR`",
                )

    def _open_batch(self, writer: Writer | None, observer: IngestObserver) -> DocumentBatch:
        """Where documents are embedded and committed; the first one of a store fixes its generation."""
        from ragstack.embedding.fingerprint import probe_vectors
        from ragstack.ingestion.batch import DocumentBatch
        from ragstack.store.generations import require_same_embedder, require_same_vectors

        assert writer is not None
        generation = writer.generation()
        if generation is not None:
            require_same_embedder(generation, self.embedder.fingerprint)
        probe = probe_vectors(self.embedder)
        if generation is None:
            generation = writer.create_generation(self.embedder.fingerprint, self._chunker_settings(), probe)
        else:
            require_same_vectors(generation, probe)
        return DocumentBatch(writer, self.embedder, generation, observer.embedded)

    def _chunker_settings(self) -> ChunkerSettings:
        size = self._chunk_size or DEFAULT_CHUNK_SIZE
        overlap = self._overlap if self._overlap is not None else default_overlap(size)
        return ChunkerSettings(size=size, overlap=overlap)

    def sources(self) -> list[SourceInfo]:
        """The folders and names that documents came from."""
        from ragstack.store import catalog

        with self._connect() as connection:
            return catalog.sources(connection)

    def relocate_source(self, old: Path | str, new: Path | str) -> None:
        """Say that the folder `old` now lies at `new`; nothing is read or embedded."""
        with self.store.write() as writer:
            writer.relocate_source(_absolute(old), _absolute(new))

    def remove_source(self, root: Path | str) -> int:
        """Remove a source with all its documents; returns how many there were."""
        with self.store.write() as writer:
            return writer.remove_source(_absolute(root))

    def remove_texts(self) -> int:
        """Remove all documents that were added by name; returns how many there were."""
        from ragstack.store.sources import TEXTS

        with self.store.write() as writer:
            return sum(writer.remove_source(source.root) for source in self.sources() if source.kind == TEXTS)

    def remove_document(self, path_or_id: Path | str | int) -> int:
        """Remove one document, named by its id, its file or the name it was added under; returns its id.

        A file that still exists comes back with the next ingest of its folder.
        """
        with self.store.write() as writer:
            with self.store.read() as snapshot:
                document_id = snapshot.find_document(path_or_id)
            writer.remove_documents([document_id])
        return document_id

    def reembed(
        self,
        *,
        model: str | None = None,
        embedder: Embedder | None = None,
        chunk_size: int | None = None,
        overlap: int | None = None,
        observer: IngestObserver | None = None,
    ) -> int:
        """Make the index anew from the stored texts with another model or other chunker settings.

        What is left out stays as it is. The old index answers until the new one is complete; an interrupted
        run is continued by the same call. Returns the number of documents that were embedded in this run.
        """
        from ragstack.chunking.settings import check_settings
        from ragstack.embedding.fingerprint import probe_vectors
        from ragstack.embedding.open import open_embedder
        from ragstack.ingestion.observer import SilentObserver
        from ragstack.ingestion.reembed import reembed

        generation = self.generation
        if generation is None:
            raise UsageError("the store is empty", hint="run `ragstack ingest FOLDER` first")
        if embedder is None:
            name = model or generation.fingerprint.name
            embedder = open_embedder(name, offline=self._offline, announce=self._announce)
        settings = replace(
            generation.settings,
            size=chunk_size or generation.settings.size,
            overlap=generation.settings.overlap if overlap is None else overlap,
        )
        check_settings(settings, max_tokens=embedder.max_tokens, overhead=embedder.document_overhead)
        if embedder.fingerprint.key == generation.fingerprint.key and settings == generation.settings:
            return 0
        with self.store.write() as writer:
            done = reembed(
                writer,
                self.store.read,
                embedder,
                settings,
                probe_vectors(embedder),
                observer or SilentObserver(),
            )
        self._given_embedder = embedder
        self.__dict__.pop("embedder", None)
        return done

    # ---------------------------------------------------------------------- upkeep

    def verify(self, *, share: float = 0.0, seed: int = 0) -> Verification:
        """Check the store against itself: quickly, or (`share` of the documents) down to every byte."""
        from ragstack.store.verification import verify

        with self.store.read(healing=False) as snapshot:
            return verify(snapshot.connection, self.store.directory, share=share, seed=seed)

    def repair(self, *, apply: bool = False) -> tuple[Verification, list[Repair], Path | None]:
        """What is wrong, what mends it, and (`apply`) mend it after a backup, whose path is returned."""
        from ragstack.store import maintenance
        from ragstack.store.verification import verify

        with self.store.write(healing=False) as writer:
            with self.store.read(healing=False) as snapshot:
                found = verify(snapshot.connection, self.store.directory, share=1.0)
            repairs = maintenance.plan_repairs(found.problems)
            if not apply or not repairs:
                return found, repairs, None
            saved = maintenance.backup(
                self.store.database,
                self.store.directory,
                maintenance.new_backup_directory(self.store.directory),
            )
            maintenance.repair(writer.engine, self.store.directory, found.problems)
        return found, repairs, saved

    def purge(self) -> None:
        """Make sure that nothing of deleted documents is left in any file of the store."""
        from ragstack.store import maintenance

        with self.store.write() as writer:
            generation = writer.generation()
            ids = [generation.id] if generation else []
            maintenance.purge(writer.engine, self.store.directory, ids)

    def backup(self, destination: Path | str) -> Path:
        """Copy the store, as of one moment, into the new directory `destination`, while others may write."""
        from ragstack.store import maintenance

        target = Path(destination).expanduser()
        return maintenance.backup(self.store.database, self.store.directory, target)

    @classmethod
    def restore(
        cls, backup: Path | str, path: Path | str, *, announce: Callable[[str], None] | None = None
    ) -> Self:
        """Make a store at `path`, where there is none, from a backup, and open it."""
        from ragstack.config import DATABASE_FILE
        from ragstack.store import maintenance

        maintenance.restore(Path(backup).expanduser(), DATABASE_FILE, Path(path).expanduser())
        return cls.open(path, create=False, announce=announce)

    # ------------------------------------------------------------------- questions

    def retrieve(self, query: str, top_k: int = 5, *, where: Filter = _EVERYTHING) -> list[Hit]:
        """The `top_k` chunks that answer `query` best, best first; each unpacks as `(text, score)`."""
        with self.store.read() as snapshot:
            return self._retrieve(snapshot, query, self._embedded(snapshot, query), top_k, where)

    def _embedded(self, snapshot: Snapshot, question: str) -> FloatArray | None:
        """The question's vector, shape (dimension,); None in a store that has no documents yet."""
        from ragstack.retrieval.question import question_vector
        from ragstack.store.generations import current_generation, require_same_embedder

        if not question.strip():
            raise UsageError("the question is empty", hint='ask something, as in `ragstack ask "What ...?"`')
        generation = current_generation(snapshot.connection)
        if generation is None:
            return None
        require_same_embedder(generation, self.embedder.fingerprint)
        return question_vector(self.embedder, question)

    def _retrieve(
        self, snapshot: Snapshot, question: str, vector: FloatArray | None, limit: int, where: Filter
    ) -> list[Hit]:
        from ragstack.retrieval.search import retrieve

        if vector is None:
            return []
        return retrieve(snapshot, question, vector, limit=limit, where=where)

    def ask(
        self,
        question: str,
        *,
        top_k: int | None = None,
        window: int | None = None,
        budget: int | None = None,
        reserve: int | None = None,
        where: Filter = _EVERYTHING,
        abstain: bool = True,
    ) -> Answer:
        """Answer `question` from the stored documents, with citations and the ledger of its prompt.

        `top_k` chunks are considered (default 50), and the budgeter packs of them what is worth its tokens:
        `window` is what the reader takes (tokens, default 4,096), `reserve` of it is kept for the answer,
        `budget` caps the passages directly. With `abstain` an answer without evidence is not given:
        `Answer.found` is false then. Raises BudgetError when the question alone does not fit.
        """
        from ragstack.answering.evidence import lexical_relevance
        from ragstack.answering.extractive import answer_extractively
        from ragstack.context.frames import PrintedFrame
        from ragstack.context.ledger import close_ledger, explain, open_ledger
        from ragstack.context.packing import pack
        from ragstack.context.readers import extractive_reader

        with self.store.read() as snapshot:
            vector = self._embedded(snapshot, question)
            hits = self._retrieve(snapshot, question, vector, top_k or CANDIDATES, where)
            reader = extractive_reader(self.embedder.tokenizer, window or DEFAULT_WINDOW)
            frame = PrintedFrame(question)
            ledger = open_ledger(reader, frame, reserve=reserve, budget=budget)
            packing = pack(
                hits,
                ledger.passage_budget,
                source=snapshot,
                frame=frame,
                counter=reader.counter,
                relevance=lexical_relevance(question),
            )
            ledger = close_ledger(ledger, packing)
            answer = answer_extractively(
                question, packing.passages, self.embedder, snapshot, question_vector=vector, abstain=abstain
            )
        without_room = explain(ledger) if hits and not packing.passages else None
        return Answer(
            question=question,
            text=without_room[0] if without_room else answer.text,
            found=answer.found,
            passages=packing.passages,
            citations=answer.citations,
            hits=tuple(hits),
            ledger=ledger,
            warnings=without_room[1:] if without_room else (),
        )

    def generate_with_retrieval(self, query: str, max_length: int | None = None) -> str:
        """The answer to `query` as text of at most `max_length` characters, cut at a sentence if one fits."""
        from ragstack.chunking.sentences import sentence_spans

        text = self.ask(query).text
        if max_length is None or len(text) <= max_length:
            return text
        ends = [end for _, end in sentence_spans(text) if end <= max_length]
        return text[: ends[-1] if ends else max_length].rstrip()


def _absolute(path: Path | str) -> str:
    return Path(path).expanduser().resolve().as_posix()
