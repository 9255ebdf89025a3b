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
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ragstack.config import DATABASE_FILE, DEFAULT_CHUNK_SIZE, default_overlap
from ragstack.errors import EmbedderMismatchError, NotInStoreError, StoreError, UsageError
from ragstack.records import (
    Answer,
    ChunkerSettings,
    Embedder,
    FileOutcome,
    Filter,
    Generator,
    GeneratorDescription,
    Hit,
    IngestReport,
    Turn,
)

if TYPE_CHECKING:
    from ragstack.answering.calibration import TimedAnswer
    from ragstack.asking.copied_question import CopiedQuestion
    from ragstack.asking.limits import PromptLimits
    from ragstack.asking.model_question import ReadyQuestion
    from ragstack.context.reader_plans import ReaderPlan
    from ragstack.embedding.ahead import EmbedderAhead
    from ragstack.ingestion.batch import DocumentBatch
    from ragstack.ingestion.observer import IngestObserver
    from ragstack.loading.limits import Limits
    from ragstack.loading.selection import Selection
    from ragstack.records import FloatArray, Reranker
    from ragstack.store.catalog import SourceInfo
    from ragstack.store.generations import IndexGeneration
    from ragstack.store.history.history import History
    from ragstack.store.maintenance import Repair
    from ragstack.store.protocols import DocumentStore, ReadSession, WriteSession
    from ragstack.store.verification import Verification
    from ragstack.strategies.strategy import ContextStrategy

CANDIDATES = 50
"""Hits that the packer may choose from unless `top_k` says otherwise: far more than any window holds. The
neighbours of the best are beside them."""

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
        self._temporary = self._may_create = True
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
        reranker: str | Reranker | None = None,
        soon_to_ask: bool = False,
    ) -> Self:
        """Open the store in the directory `path`, or (`create`) begin a new one there with the first change.

        `model`, `chunk_size` and `overlap` (tokens) are fixed by the first document of a store; later they
        may be left out, and others are refused with EmbedderMismatchError. `announce` is told, in one line
        each, of downloads and of anything that was healed. An `embedder` takes the place of `model`. A
        `reranker` (a sentence-transformers CrossEncoder, by name or folder) decides on the order of the best
        hits. With `soon_to_ask` the embedder is loaded while the store is opened. Raises StoreNotFoundError
        when there is no store and `create` is false.
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
            reranker=reranker,
        )
        system._may_create = create
        if soon_to_ask:
            system._load_embedder_ahead()
        if not create or (system.path / DATABASE_FILE).is_file():
            system._open_store()
        return system

    @classmethod
    def over(
        cls,
        store: DocumentStore,
        *,
        model: str | None = None,
        chunk_size: int | None = None,
        overlap: int | None = None,
        offline: bool = False,
        announce: Callable[[str], None] | None = None,
        embedder: Embedder | None = None,
        reranker: str | Reranker | None = None,
    ) -> Self:
        """A system on a store of any kind that is open already, and that `close` closes; else as `open`."""
        system = cls.__new__(cls)
        system._set_up(
            store.directory,
            model=model,
            chunk_size=chunk_size,
            overlap=overlap,
            offline=offline,
            announce=announce,
            embedder=embedder,
            reranker=reranker,
        )
        system._store = store
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
        reranker: str | Reranker | None = None,
    ) -> None:
        self.path = path
        self._model = model
        self._chunk_size = chunk_size
        self._overlap = overlap
        self._offline = offline
        self._announce = announce or _ignore
        self._given_embedder = embedder
        self._wanted_reranker = reranker
        self._temporary = False
        self._may_create = False
        self._ahead: EmbedderAhead | None = None
        self._store: DocumentStore | None = None

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
        self._may_create = False
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)

    def _create_store(self) -> None:
        """Make the store, once it is sure that documents can be put into it: no empty one is left behind."""
        from ragstack.chunking.settings import check_settings
        from ragstack.store.store import Store

        is_new = not (self.path / DATABASE_FILE).is_file()
        if is_new:
            limits = {"max_tokens": self.embedder.max_tokens, "overhead": self.embedder.document_overhead}
            check_settings(self._chunker_settings(), **limits)
            _ = self.embedder.fingerprint
        self._store = Store.create(self.path, warn=self._announce)
        if is_new:
            with suppress(StoreError):  # else it is made with the first answer
                self.history.make()

    def _open_store(self) -> None:
        from ragstack.store.store import Store

        self._store = Store.open(self.path, warn=self._announce)

    @property
    def store(self) -> DocumentStore:
        """The open store, made now if it is still to be made; for inspection."""
        if self._is_unmade:
            self._create_store()
        if self._store is None:
            raise UsageError("this RAGSystem is closed", hint="open it again with `RAGSystem.open(path)`")
        return self._store

    @property
    def _is_unmade(self) -> bool:
        """Whether this system is to make a store, and has not yet."""
        return self._store is None and self._may_create

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder of this store: the one it was made with, else the one asked for, else the default."""
        if self._given_embedder is not None:
            return self._given_embedder
        from ragstack.embedding.open import open_embedder

        generation = self.generation
        name = self._model or (generation.fingerprint.name if generation else None)
        loaded = self._ahead.embedder(name) if self._ahead is not None and name is not None else None
        return loaded or open_embedder(name, offline=self._offline, announce=self._announce)

    @cached_property
    def reranker(self) -> Reranker | None:
        """The model that decides on the order of the best hits, if one was asked for."""
        if not isinstance(self._wanted_reranker, str):
            return self._wanted_reranker
        from ragstack.embedding.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(self._wanted_reranker, offline=self._offline, announce=self._announce)

    @cached_property
    def _probe(self) -> FloatArray:
        """What tells this embedder's vectors from another's; see `probe_vectors`."""
        from ragstack.embedding.fingerprint import probe_vectors

        return probe_vectors(self.embedder)

    def _load_embedder_ahead(self) -> None:
        from ragstack.store.peek import stored_model

        name = self._model or stored_model(self.path / DATABASE_FILE)
        if self._given_embedder is None and name is not None:
            from ragstack.embedding.ahead import EmbedderAhead

            self._ahead = EmbedderAhead(name, offline=self._offline, announce=self._announce)

    @property
    def generation(self) -> IndexGeneration | None:
        """With which embedder and settings the index was made; None while the store is empty."""
        if self._is_unmade:
            return None
        with self.store.read() as snapshot:
            return snapshot.generation()

    # ------------------------------------------------------------------- documents

    def ingest(
        self,
        paths: Sequence[Path | str] | Path | str,
        *,
        prune: bool | None = None,
        checksum: bool = False,
        dry_run: bool = False,
        observer: IngestObserver | None = None,
        limits: Limits | None = None,
        selection: Selection | None = None,
    ) -> IngestReport:
        """Bring the store in step with files and folders; unchanged files are not read again.

        Documents whose files are gone are removed, unless that is over half of a folder or the folder itself
        is gone; `prune=True` removes them all the same, `prune=False` never. A file that cannot be read is
        in the report and stops nothing. `checksum` reads and hashes also the files whose size and times are
        the same. `dry_run` changes nothing and reports what would happen. `limits` say what a file may be and
        cost; they are parsed in a child process that is killed beyond them. `selection` leaves files alone in
        this run. Ctrl-C raises IngestInterrupted, which carries the report; what was committed stays.
        """
        from ragstack.ingestion.observer import SilentObserver
        from ragstack.ingestion.run import Ingest
        from ragstack.loading.guard import GuardedReaders
        from ragstack.loading.limits import DEFAULT_LIMITS
        from ragstack.loading.selection import EVERYTHING

        listed = [paths] if isinstance(paths, Path | str) else list(paths)
        reading = GuardedReaders(limits or DEFAULT_LIMITS)
        with nullcontext(None) if dry_run else self._writing() as writer, reading:
            ingest = Ingest(
                observer=observer or SilentObserver(),
                writer=writer,
                read=self._read_if_made,
                open_batch=lambda: self._open_batch(
                    writer, observer or SilentObserver(), max_chunks=reading.limits.chunks
                ),
                reading=reading,
                selection=selection or EVERYTHING,
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

    def ingest_bytes(
        self,
        data: bytes,
        *,
        name: str | None = None,
        limits: Limits | None = None,
        observer: IngestObserver | None = None,
    ) -> FileOutcome:
        """Store the content of a file that has no path, read as the ending of `name` says.

        The same `name` replaces what it named before; without a name the content is its name. Raises
        LoadingError when no text can be made of it.
        """
        from ragstack.ingestion.observer import SilentObserver
        from ragstack.ingestion.texts import commit_bytes
        from ragstack.loading.guard import GuardedReaders
        from ragstack.loading.limits import DEFAULT_LIMITS

        watching = observer or SilentObserver()
        with self._writing() as writer, GuardedReaders(limits or DEFAULT_LIMITS) as reading:
            return commit_bytes(
                writer,
                lambda: self._open_batch(writer, watching, max_chunks=reading.limits.chunks),
                data,
                name=name,
                reading=reading,
            )

    @contextmanager
    def _writing(self) -> Iterator[WriteSession]:
        with self.store.write() as writer:
            self._require_settings(writer.generation())
            yield writer

    def _read_if_made(self) -> AbstractContextManager[ReadSession | None]:
        return nullcontext(None) if self._is_unmade else self.store.read()

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

    def _open_batch(
        self, writer: WriteSession | None, observer: IngestObserver, *, max_chunks: int | None = None
    ) -> DocumentBatch:
        """Where documents are embedded and committed; the first one of a store fixes its generation."""
        from ragstack.ingestion.batch import DocumentBatch
        from ragstack.store.generations import require_same_embedder, require_same_vectors

        assert writer is not None
        generation = writer.generation()
        if generation is not None:
            require_same_embedder(generation, self.embedder.fingerprint)
        if generation is None:
            settings = self._chunker_settings()
            generation = writer.create_generation(self.embedder.fingerprint, settings, self._probe)
        else:
            require_same_vectors(generation, self._probe)
        return DocumentBatch(writer, self.embedder, generation, observer.embedded, max_chunks=max_chunks)

    def _chunker_settings(self) -> ChunkerSettings:
        size = self._chunk_size or DEFAULT_CHUNK_SIZE
        overlap = self._overlap if self._overlap is not None else default_overlap(size)
        return ChunkerSettings(size=size, overlap=overlap)

    def sources(self) -> list[SourceInfo]:
        """The folders and names that documents came from."""
        with self.store.read() as snapshot:
            return snapshot.sources()

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
            version=self._chunker_settings().version,
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
        self.__dict__.pop("_probe", None)
        return done

    # ---------------------------------------------------------------------- upkeep

    def verify(self, *, share: float = 0.0, seed: int = 0) -> Verification:
        """Check the store against itself: quickly, or (`share` of the documents) down to every byte."""
        return self.store.verify(share=share, seed=seed)

    def repair(self, *, apply: bool = False) -> tuple[Verification, list[Repair], Path | None]:
        """What is wrong, what mends it, and (`apply`) mend it after a backup, whose path is returned."""
        return self.store.repair(apply=apply)

    def purge(self) -> None:
        """Make sure that nothing of deleted documents is left in any file of the store.

        Of the history, every conversation goes from the first answer that shows text of a document that is
        gone or has changed.
        """
        self.store.purge()
        with self.store.read() as snapshot:
            current = {each.document_id: each.content_hash for each in snapshot.documents()}
        self.history.purge(lambda document_id, content_hash: current.get(document_id) == content_hash)

    def backup(self, destination: Path | str) -> Path:
        """Copy the store, as of one moment, into the new directory `destination`, while others may write."""
        return self.store.backup(Path(destination).expanduser())

    @classmethod
    def restore(
        cls, backup: Path | str, path: Path | str, *, announce: Callable[[str], None] | None = None
    ) -> Self:
        """Make a store at `path`, where there is none, from a backup, and open it."""
        from ragstack.store import maintenance

        maintenance.restore(Path(backup).expanduser(), DATABASE_FILE, Path(path).expanduser())
        return cls.open(path, create=False, announce=announce)

    # ------------------------------------------------------------------- questions

    def retrieve(self, query: str, top_k: int = 5, *, where: Filter = _EVERYTHING) -> list[Hit]:
        """The `top_k` chunks that answer `query` best, best first; each unpacks as `(text, score)`."""
        from ragstack.asking.question_text import readable_question

        query = readable_question(query)
        with self.store.read() as snapshot:
            return self._retrieve(snapshot, query, self._embedded(snapshot, query), top_k, where)

    def _embedded(self, snapshot: ReadSession, question: str) -> FloatArray | None:
        """The question's vector, shape (dimension,); None in a store that has no documents yet."""
        from ragstack.retrieval.question import question_vector
        from ragstack.store.generations import require_same_embedder

        if not question.strip():
            raise UsageError("the question is empty", hint='ask something, as in `ragstack ask "What ...?"`')
        generation = snapshot.generation()
        if generation is None:
            return None
        require_same_embedder(generation, self.embedder.fingerprint)
        return question_vector(self.embedder, question)

    def _retrieve(
        self, snapshot: ReadSession, question: str, vector: FloatArray | None, limit: int, where: Filter
    ) -> list[Hit]:
        from ragstack.retrieval.search import retrieve

        if vector is None:
            return []
        return retrieve(snapshot, question, vector, limit=limit, where=where, reranker=self.reranker)

    def _candidates(
        self,
        snapshot: ReadSession,
        question: str,
        vector: FloatArray | None,
        top_k: int | None,
        where: Filter,
        *,
        beside: bool,
    ) -> list[Hit]:
        """What a prompt is packed of: `top_k` hits, or the usual ones and (`beside`) what is near the best.

        A language model reads on from the best hits; an answer that is copied needs a sentence of one.
        """
        hits = self._retrieve(snapshot, question, vector, top_k or CANDIDATES, where)
        if top_k or not beside:
            return hits
        from ragstack.retrieval.neighbours import with_neighbours

        return with_neighbours(snapshot, hits)

    def ask(
        self,
        question: str,
        *,
        top_k: int | None = None,
        window: int | None = None,
        budget: int | None = None,
        reserve: int | None = None,
        where: Filter = _EVERYTHING,
        strategy: str = "rag",
        abstain: bool = True,
        reader: str | Path | ReaderPlan | None = None,
        memory: str | None = None,
        latency: str | float | None = None,
        effective: bool = False,
        llm: str | Generator | None = None,
        turns: Sequence[Turn] = (),
        show: Callable[[str], None] | None = None,
        dry_run: bool = False,
    ) -> Answer:
        """Answer `question` from the stored documents, with citations and the ledger of its prompt.

        `top_k` chunks are considered (default 50; for a language model also those near the best three), and
        the budgeter packs of them what is worth its tokens:
        `window` is what the reader takes (tokens, default 4,096), `reserve` of it is kept for the answer,
        `budget` caps the passages directly. `strategy` is how the budget is filled: `rag` from what a search
        finds, or without one from all text that `where` selects, as far as it fits (`full`), in windows
        (`sliding`) or through summaries (`hierarchical`); `Answer.reading` and `Answer.cost` tell what was
        read. With `abstain` an answer without evidence is not given: `Answer.found` is false then. Raises
        BudgetError when the question alone does not fit.

        `reader` names a language model (see `describe_model`), or is a plan made before: the prompt is then
        sized for it, in its own tokens, by its window, by the `memory` (`8GB`; default what is free), by the
        `latency` to its first token (seconds, or `5s`) and, with `effective`, by the published length that it
        uses well. The answer is still copied from the passages.

        `llm` names a language model (an address, `ollama:llama3.2`, a model on this disk; see
        `answering.generators`) that reads the prompt and writes the answer: `show` is given its text as it
        comes, `Answer.sentences` say what checking it came to, and a failure is in `Answer.generation`, with
        the passages there all the same. `turns` are the conversation before: a follow-up is searched for with
        what it refers to, and a language model is shown as much of it as its share of the budget holds. With
        `dry_run` nothing is answered: the text is the prompt that would be read.
        """
        from ragstack.answering.followup import standalone_question
        from ragstack.asking.limits import PromptLimits
        from ragstack.asking.question_text import readable_question
        from ragstack.strategies.by_name import strategy_named

        question = readable_question(question)
        limits = PromptLimits(window, reserve, budget, memory, latency, effective)
        standalone = standalone_question(question, turns)
        common = (question, standalone, limits, strategy_named(strategy), where, top_k)
        opened: AbstractContextManager[CopiedQuestion | ReadyQuestion] = (
            self._copied_question(reader, abstain, *common)
            if llm is None
            else self._model_question(llm, turns, dry_run, abstain, *common)
        )
        with opened as asked:
            answer = asked.preview() if dry_run else asked.answer(show)
        if self.reranker is None or not answer.hits:
            return answer
        noted = replace(answer.ledger, notes=(*answer.ledger.notes, self.reranker.note))
        return replace(answer, ledger=noted)

    @contextmanager
    def _copied_question(
        self,
        reader: str | Path | ReaderPlan | None,
        abstain: bool,
        question: str,
        standalone: str,
        limits: PromptLimits,
        strategy: ContextStrategy,
        where: Filter,
        top_k: int | None,
    ) -> Iterator[CopiedQuestion]:
        """A question that is answered with sentences of the documents, on one state of the store."""
        from ragstack.asking.copied_question import CopiedQuestion, copying_reader, plan_copying
        from ragstack.embedding.tokenizer import ModelTokenizer

        plan = plan_copying(reader, limits)
        with self.store.read() as snapshot:
            vector = self._embedded(snapshot, standalone)
            yield CopiedQuestion(
                question=question,
                standalone=standalone,
                vector=vector,
                plan=plan,
                reader=copying_reader(plan, limits, self.embedder, open_file=ModelTokenizer),
                limits=limits,
                strategy=strategy,
                where=where,
                source=snapshot,
                embedder=self.embedder,
                retrieve=lambda: self._candidates(
                    snapshot, standalone, vector, top_k, where, beside=plan is not None
                ),
                abstain=abstain,
            )

    @contextmanager
    def _model_question(
        self,
        llm: str | Generator,
        turns: Sequence[Turn],
        dry_run: bool,
        abstain: bool,
        question: str,
        standalone: str,
        limits: PromptLimits,
        strategy: ContextStrategy,
        where: Filter,
        top_k: int | None,
    ) -> Iterator[ReadyQuestion]:
        """A question to a language model, its prompt made on one state of the store, which is released then.

        A generator opened for it is closed.
        """
        from ragstack.answering.generators.opening import open_generator
        from ragstack.answering.rewriting import search_question
        from ragstack.asking.model_question import ModelQuestion
        from ragstack.asking.planning import plan_model
        from ragstack.embedding.tokenizer import ModelTokenizer

        generator = open_generator(llm) if isinstance(llm, str) else llm
        try:
            model = plan_model(generator, limits, self._timings, open_file=ModelTokenizer, ask=not dry_run)
            if not dry_run and model.failure is None:
                standalone = search_question(question, turns, generator)
            with self.store.read() as snapshot:
                vector = self._embedded(snapshot, standalone)
                asked = ModelQuestion(
                    question=question,
                    standalone=standalone,
                    vector=vector,
                    turns=turns,
                    generator=generator,
                    model=model,
                    limits=limits,
                    strategy=strategy,
                    where=where,
                    source=snapshot,
                    embedder=self.embedder,
                    retrieve=lambda: self._candidates(
                        snapshot, standalone, vector, top_k, where, beside=True
                    ),
                    abstain=abstain,
                ).ready()
            yield asked
        finally:
            if generator is not llm:
                generator.close()

    def _timings(self, generator: GeneratorDescription) -> list[TimedAnswer]:
        """How long the answers of this model at this address took before; none if that cannot be read."""
        from ragstack.answering.calibration import TimedAnswer

        try:
            timed = self.history.timings(generator.model, generator.endpoint)
        except StoreError as error:
            self._announce(f"the history cannot be read: {error}")
            return []
        return [TimedAnswer(each.prompt_tokens, each.seconds, each.tokens_per_second) for each in timed]

    @property
    def history(self) -> History:
        """What was asked of this store and answered; nothing is written down unless `record` is called."""
        from ragstack.store.history.history import History

        return History(self.path)

    def record(self, answer: Answer, conversation_id: int | None = None) -> int | None:
        """Write an answer down in the history, in a new conversation unless one is given; returns its id.

        A history that cannot be written is announced and stops nothing; the id is None then. So it is for an
        answer that shows a document which was removed while a model wrote: a purge would not find it later.
        """
        if answer.generation is not None and self._shows_removed(answer):
            self._announce("the question is not in the history: a document that it shows has been removed")
            return None
        try:
            return self.history.record(answer, conversation_id=conversation_id)
        except (StoreError, OSError) as error:
            self._announce(f"the question is not in the history: {error}")
            return None

    def _shows_removed(self, answer: Answer) -> bool:
        with self.store.read() as snapshot:
            for document_id in {passage.document_id for passage in answer.passages}:
                try:
                    snapshot.document_info(document_id)
                except NotInStoreError:
                    return True
        return False

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
