"""A second store, independent of SQLite and FAISS: dictionaries, and NumPy that compares with every vector.

It exists to show that the other stages know a store by `ragstack.store.protocols` alone; it keeps nothing on
disk. A session reads a copy of the state, so that it sees one commit; a writing session changes the state
only after a method has done its work on another copy, so that every method is a transaction.
"""

from __future__ import annotations

import copy
import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from ragstack.errors import NotInStoreError, StoreError, StoreLockedError, UsageError
from ragstack.records import (
    Candidate,
    Document,
    Element,
    ElementKind,
    Filter,
    Landmark,
    Location,
    SelectedDocument,
    StoredChunk,
    TermCounts,
)
from ragstack.store.catalog import DiskUse, DocumentInfo, FailureInfo, RunInfo, SegmentInfo, SourceInfo
from ragstack.store.generations import IndexGeneration
from ragstack.store.integrity import input_hash, text_hash
from ragstack.store.sources import FILES, FOLDER, TEXTS, KnownFailure, KnownFile, Place
from ragstack.store.verification import Damage, Problem, Verification
from ragstack.words import QUESTION_STOP_WORDS

if TYPE_CHECKING:
    from ragstack.records import Chunk, ChunkerSettings, FileStat, Fingerprint, FloatArray
    from ragstack.store.documents import IncomingDocument
    from ragstack.store.maintenance import Repair

TIME = "2026-01-01T00:00:00+00:00"
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Held:
    """A document as it was committed, with what became known of its file since."""

    incoming: IncomingDocument
    stat: FileStat
    read_at_ns: int
    stale_reason: str | None = None


@dataclass(slots=True)
class HeldChunk:
    """A chunk of one generation and its vector, shape (dimension,)."""

    generation_id: int
    document_id: int
    position: int
    chunk: Chunk
    vector: FloatArray


@dataclass(slots=True)
class State:
    """Everything that a dictionary store holds."""

    sequence: int = 0
    last_id: int = 0
    generations: dict[int, IndexGeneration] = field(default_factory=dict)
    current: int | None = None
    building: int | None = None
    sources: dict[int, tuple[str, str]] = field(default_factory=dict)
    documents: dict[int, Held] = field(default_factory=dict)
    chunks: dict[int, HeldChunk] = field(default_factory=dict)
    failures: dict[tuple[int, str], KnownFailure] = field(default_factory=dict)
    runs: list[RunInfo] = field(default_factory=list)

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def copied(self) -> State:
        """A state that can be changed without this one noticing; what is frozen is shared."""
        changed = copy.copy(self)
        for name in ("generations", "sources", "chunks", "failures", "runs"):
            setattr(changed, name, copy.copy(getattr(self, name)))
        changed.documents = {key: copy.copy(held) for key, held in self.documents.items()}
        return changed


def _within(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(root.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Reading:
    """One committed state; implements `protocols.ReadSession`."""

    state: State

    def generation(self) -> IndexGeneration | None:
        return self.state.generations.get(self.state.current or 0)

    # searching

    def _passing(self, where: Filter) -> dict[int, HeldChunk]:
        return {
            chunk_id: held
            for chunk_id, held in self.state.chunks.items()
            if held.generation_id == self.state.current and self._passes(held.document_id, where)
        }

    def _passes(self, document_id: int, where: Filter) -> bool:
        incoming = self.state.documents[document_id].incoming
        kind, metadata = incoming.document.media_type, incoming.document.metadata
        modified = self.state.documents[document_id].stat.mtime_ns / 1e9
        return (
            (not where.documents or document_id in where.documents)
            and (not where.paths or any(fnmatchcase(incoming.path, glob) for glob in where.paths))
            and (not where.media_types or any(kind == t or t in kind.split("/") for t in where.media_types))
            and (where.since is None or modified >= where.since.timestamp())
            and (where.until is None or modified <= where.until.timestamp())
            and all(metadata.get(key) == value for key, value in where.metadata)
        )

    def dense_candidates(self, vector: FloatArray, limit: int, where: Filter) -> list[Candidate]:
        scores = {i: float(held.vector @ vector) for i, held in self._passing(where).items()}
        return _ranked(scores, limit)

    def lexical_candidates(self, question: str, limit: int, where: Filter) -> list[Candidate]:
        """BM25 with k1 = 1.2 and b = 0.75, as FTS5 has it; of endings only the plural's is taken off."""
        passing = self._passing(where)
        bags = {i: Counter(_stems(held.chunk.text)) for i, held in self.state.chunks.items()}
        average = sum(map(Counter.total, bags.values())) / max(1, len(bags))
        scores: dict[int, float] = {}
        for word in {_stem(word) for word in _terms(question)}:
            holding = sum(1 for bag in bags.values() if word in bag)
            rarity = max(1e-6, math.log((len(bags) - holding + 0.5) / (holding + 0.5)))
            for i in passing:
                count, length = bags[i][word], bags[i].total() / average
                if count:
                    gain = rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length))
                    scores[i] = scores.get(i, 0.0) + gain
        return _ranked(scores, limit)

    def term_counts(self, question: str) -> TermCounts:
        bags = [frozenset(_stems(held.chunk.text)) for held in self.state.chunks.values()]
        holding = {word: sum(_stem(word) in bag for bag in bags) for word in _terms(question)}
        return TermCounts(len(bags), holding)

    def cosines(self, vector: FloatArray, chunk_ids: Sequence[int]) -> dict[int, float]:
        held = self.state.chunks
        return {i: float(held[i].vector @ vector) for i in chunk_ids if i in held}

    def chunks(self, chunk_ids: Iterable[int]) -> dict[int, StoredChunk]:
        return {i: self._stored(i) for i in chunk_ids if i in self.state.chunks}

    def chunk_ids_around(self, chunk: StoredChunk, distance: int) -> dict[int, int]:
        found = self._in_document(chunk)
        return {
            place: chunk_id for place, chunk_id in found.items() if abs(place - chunk.position) <= distance
        }

    def section_chunk_ids(self, chunk: StoredChunk, limit: int) -> list[int]:
        found = self._in_document(chunk)
        under: dict[tuple[str, ...], list[int]] = {}
        for place, chunk_id in found.items():
            under.setdefault(self._stored(chunk_id).headings, []).append(place)
        own = under.get(chunk.headings, []) if chunk.headings else []
        nearest = sorted(own, key=lambda place: (abs(place - chunk.position), place))[:limit]
        paths = [chunk.headings[: depth + 1] for depth in range(len(chunk.headings))]
        above = [under[path][0] for path in paths if path in under]
        return [found[place] for place in sorted({*nearest, *above})]

    def _in_document(self, chunk: StoredChunk) -> dict[int, int]:
        found = {
            held.position: chunk_id
            for chunk_id, held in self.state.chunks.items()
            if held.generation_id == self.state.current and held.document_id == chunk.document_id
        }
        return dict(sorted(found.items()))

    def _stored(self, chunk_id: int) -> StoredChunk:
        held = self.state.chunks[chunk_id]
        incoming = self.state.documents[held.document_id].incoming
        return StoredChunk(
            chunk_id=chunk_id,
            document_id=held.document_id,
            position=held.position,
            start=held.chunk.start,
            end=held.chunk.end,
            text=incoming.document.text[held.chunk.start : held.chunk.end],
            tokens=held.chunk.tokens,
            headings=held.chunk.headings,
            path=incoming.path,
            title=incoming.document.title,
            media_type=incoming.document.media_type,
            content_hash=incoming.content_hash,
        )

    # reading

    def document(self, document_id: int) -> Document:
        return self._held(document_id).incoming.document

    def _held(self, document_id: int) -> Held:
        if document_id not in self.state.documents:
            raise NotInStoreError(f"there is no document {document_id} in the store")
        return self.state.documents[document_id]

    def metadata(self, document_id: int) -> Mapping[str, str]:
        return self.document(document_id).metadata

    def read_text(self, document_id: int, start: int, end: int) -> str:
        return self.document(document_id).text[start:end]

    def locate(self, document_id: int, start: int, end: int) -> Location:
        document, last = self.document(document_id), max(start, end - 1)
        marks = [_landmark_at(document, offset) for offset in (start, last)]
        lines = [document.text.count("\n", 0, offset) + 1 for offset in (start, last)]
        return Location(
            landmark_kind=marks[0].kind if marks[0] else None,
            first_landmark=marks[0].label if marks[0] else None,
            last_landmark=marks[1].label if marks[1] else None,
            first_line=lines[0] if document.lines_are_original else None,
            last_line=lines[1] if document.lines_are_original else None,
            headings=_headings_at(document, start),
        )

    def chunk_ids(self, document_id: int) -> list[int]:
        return [i for i, held in self._passing(Filter()).items() if held.document_id == document_id]

    def vectors(self, chunk_ids: Sequence[int]) -> dict[int, FloatArray]:
        held = self.state.chunks
        return {i: held[i].vector for i in chunk_ids if i in held}

    def elements(self, document_id: int) -> tuple[Element, ...]:
        return self.document(document_id).elements

    def landmarks(self, document_id: int, start: int, end: int) -> tuple[Landmark, ...]:
        document = self.document(document_id)
        first = _landmark_at(document, start)
        return (*([first] if first else []), *(m for m in document.landmarks if start < m.start < end))

    def selected_documents(self, where: Filter) -> list[SelectedDocument]:
        return [
            SelectedDocument(info.document_id, info.path, info.title, info.characters, info.content_hash)
            for info in self.documents()
            if self._passes(info.document_id, where)
        ]

    def document_info(self, document_id: int) -> DocumentInfo:
        held = self._held(document_id)
        incoming, document = held.incoming, held.incoming.document
        kind, root = self.state.sources[incoming.source_id]
        own = [self.state.chunks[i].chunk for i in self.chunk_ids(document_id)]
        return DocumentInfo(
            document_id=document_id,
            source_id=incoming.source_id,
            source_kind=kind,
            root=root,
            path=incoming.path,
            title=document.title,
            media_type=document.media_type,
            content_hash=incoming.content_hash,
            text_hash=text_hash(document.text),
            characters=len(document.text),
            lines=document.text.count("\n") + 1,
            lines_are_original=document.lines_are_original,
            reader=document.reader,
            reader_version=document.reader_version,
            size=held.stat.size,
            mtime_ns=held.stat.mtime_ns,
            ingested_at=TIME,
            stale_reason=held.stale_reason,
            chunks=len(own),
            tokens=sum(chunk.tokens for chunk in own),
        )

    def documents(self) -> list[DocumentInfo]:
        found = map(self.document_info, self.state.documents)
        return sorted(found, key=lambda info: (info.root, info.path))

    def find_document(self, path_or_id: Path | str | int) -> int:
        if str(path_or_id).isdecimal():
            return self.document_info(int(path_or_id)).document_id
        absolute = Path(path_or_id).absolute().as_posix()
        names = [str(path_or_id), absolute]
        found = [d.document_id for d in self.documents() if {d.path, f"{d.root}/{d.path}"} & {*names}]
        if len(found) != 1:
            raise NotInStoreError(f"{len(found)} documents are called `{path_or_id}`")
        return found[0]

    # sources and files

    def place_of(self, path: str, *, is_folder: bool) -> Place:
        roots = [(root, i) for i, (kind, root) in self.state.sources.items() if kind == FOLDER]
        around = [(len(root), i, root) for root, i in roots if _within(path, root)]
        if around:
            _, source_id, root = max(around)
            return Place(source_id, FOLDER, root, path[len(root) :].strip("/"))
        if is_folder:
            return Place(None, FOLDER, path, "")
        parent = PurePath(path).parent.as_posix()
        known = (i for i, source in self.state.sources.items() if source == (FILES, parent))
        return Place(next(known, None), FILES, parent, PurePath(path).name)

    def known_files(self, source_id: int, prefix: str = "") -> dict[str, KnownFile]:
        found = {}
        for document_id, held in self.state.documents.items():
            incoming = held.incoming
            if incoming.source_id == source_id and _within(incoming.path, prefix):
                found[incoming.path] = KnownFile(
                    document_id, incoming.path, incoming.content_hash, held.stat, held.read_at_ns,
                    incoming.document.reader, incoming.document.reader_version, held.stale_reason,
                )  # fmt: skip
        return found

    def known_failures(self, source_id: int, prefix: str = "") -> dict[str, KnownFailure]:
        failures = self.state.failures.items()
        return {p: failure for (i, p), failure in failures if i == source_id and _within(p, prefix)}

    def sources(self) -> list[SourceInfo]:
        found = []
        for source_id, (kind, root) in self.state.sources.items():
            own = [held for held in self.state.documents.values() if held.incoming.source_id == source_id]
            failures = sum(1 for i, _ in self.state.failures if i == source_id)
            stale = sum(1 for held in own if held.stale_reason is not None)
            found.append(SourceInfo(source_id, kind, root, TIME, len(own), stale, failures))
        return sorted(found, key=lambda source: (source.kind, source.root))

    def failures(self) -> list[FailureInfo]:
        failures = self.state.failures.items()
        return [FailureInfo(self.state.sources[i][1], p, each.reason, TIME) for (i, p), each in failures]

    def segments(self) -> list[SegmentInfo]:
        return []

    def unpublished(self) -> int:
        return len(self._passing(Filter()))

    def repeated(self) -> int:
        inputs = [held.chunk.embedding_text for held in self._passing(Filter()).values()]
        return len(inputs) - len(set(inputs))

    def last_run(self) -> RunInfo | None:
        return self.state.runs[-1] if self.state.runs else None


def _stem(word: str) -> str:
    return word.removesuffix("s")


def _stems(text: str) -> list[str]:
    return [_stem(word.casefold()) for word in _WORD.findall(text)]


def _terms(question: str) -> list[str]:
    """The words of a question that carry evidence, each once; all of them if none does."""
    words = dict.fromkeys(word.casefold() for word in _WORD.findall(question))
    return [word for word in words if word not in QUESTION_STOP_WORDS] or list(words)


def _ranked(scores: Mapping[int, float], limit: int) -> list[Candidate]:
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [Candidate(chunk_id, rank, score) for rank, (chunk_id, score) in enumerate(best, 1)]


def _landmark_at(document: Document, offset: int) -> Landmark | None:
    return next((mark for mark in reversed(document.landmarks) if mark.start <= offset), None)


def _headings_at(document: Document, offset: int) -> tuple[str, ...]:
    path: list[tuple[int, str]] = []
    for element in document.elements:
        if element.kind is ElementKind.HEADING and element.start <= offset:
            path = [*(outer for outer in path if outer[0] < element.level), (element.level, element.title)]
    return tuple(title for _, title in path)


@dataclass(slots=True)
class Writing:
    """The right to change a dictionary store; implements `protocols.WriteSession`."""

    store: DictionaryStore

    @contextmanager
    def _transaction(self) -> Iterator[State]:
        changed = self.store.state.copied()
        yield changed
        changed.sequence += 1
        self.store.state = changed

    # generations

    def generation(self) -> IndexGeneration | None:
        return Reading(self.store.state).generation()

    def create_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        with self._transaction() as state:
            made = IndexGeneration(state.next_id(), fingerprint, settings, probe, TIME)
            state.generations[made.id] = made
            state.current = made.id
        return made

    def begin_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        begun = self.store.state.generations.get(self.store.state.building or 0)
        if begun and begun.fingerprint.key == fingerprint.key and begun.settings == settings:
            return begun
        with self._transaction() as state:
            if begun:
                _drop_generation(state, begun.id)
            made = IndexGeneration(state.next_id(), fingerprint, settings, probe, TIME)
            state.generations[made.id] = made
            state.building = made.id
        return made

    def documents_without_chunks(self, generation: IndexGeneration) -> list[int]:
        chunks = self.store.state.chunks.values()
        held = {chunk.document_id for chunk in chunks if chunk.generation_id == generation.id}
        return sorted(set(self.store.state.documents) - held)

    def put_chunks(
        self,
        document_id: int,
        title: str | None,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        generation: IndexGeneration,
    ) -> None:
        with self._transaction() as state:
            _put_chunks(state, generation.id, document_id, chunks, vectors)

    def switch_generation(self, generation: IndexGeneration) -> None:
        with self._transaction() as state:
            if state.current is not None:
                _drop_generation(state, state.current)
            state.current, state.building = generation.id, None

    def known_vectors(self, generation: IndexGeneration, hashes: Sequence[bytes]) -> dict[bytes, FloatArray]:
        wanted, found = set(hashes), {}
        for held in self.store.state.chunks.values():
            digest = input_hash(held.chunk.embedding_text)
            if held.generation_id == generation.id and digest in wanted:
                found[digest] = held.vector
        return found

    def publish(self, generation: IndexGeneration, *, final: bool) -> bool:
        return False

    # documents

    def put_document(
        self, incoming: IncomingDocument, generation: IndexGeneration, *, replaces: int | None = None
    ) -> int:
        with self._transaction() as state:
            document_id = replaces or state.next_id()
            _remove_chunks(state, {document_id})
            state.documents[document_id] = Held(incoming, incoming.stat, incoming.read_at_ns)
            _put_chunks(state, generation.id, document_id, incoming.chunks, incoming.vectors)
            state.failures.pop((incoming.source_id, incoming.path), None)
        return document_id

    def remove_documents(self, document_ids: Iterable[int]) -> None:
        with self._transaction() as state:
            gone = set(document_ids)
            _remove_chunks(state, gone)
            for document_id in gone:
                state.documents.pop(document_id, None)

    def touch_documents(self, stats: Mapping[int, tuple[FileStat, int]]) -> None:
        for document_id, (stat, read_at_ns) in stats.items():
            held = self.store.state.documents[document_id]
            held.stat, held.read_at_ns, held.stale_reason = stat, read_at_ns, None

    # sources and files

    def ensure_source(self, place: Place) -> int:
        if place.source_id is not None:
            return place.source_id
        for source_id, source in self.store.state.sources.items():
            if source == (place.kind, place.root):
                return source_id
        with self._transaction() as state:
            source_id = state.next_id()
            if place.kind == FOLDER:
                _absorb(state, source_id, place.root)
            state.sources[source_id] = (place.kind, place.root)
        return source_id

    def known_files(self, source_id: int) -> dict[str, KnownFile]:
        return Reading(self.store.state).known_files(source_id)

    def relocate_source(self, old: str, new: str) -> None:
        with self._transaction() as state:
            source_id = _source_at(state, old)
            others = (root for i, (kind, root) in state.sources.items() if i != source_id and kind != TEXTS)
            if any(_within(new, root) or _within(root, new) for root in others):
                raise UsageError(f"`{new}` overlaps another source")
            state.sources[source_id] = (state.sources[source_id][0], new)

    def remove_source(self, root: str) -> int:
        state = self.store.state
        source_id = _source_at(state, root)
        gone = [i for i, held in state.documents.items() if held.incoming.source_id == source_id]
        self.remove_documents(gone)
        with self._transaction() as state:
            del state.sources[source_id]
            state.failures = {key: each for key, each in state.failures.items() if key[0] != source_id}
        return len(gone)

    def record_failure(self, source_id: int, failure: KnownFailure) -> None:
        with self._transaction() as state:
            state.failures[source_id, failure.path] = failure
            for held in state.documents.values():
                if (held.incoming.source_id, held.incoming.path) == (source_id, failure.path):
                    held.stale_reason = failure.reason

    def forget_failures(self, source_id: int, paths: Iterable[str]) -> None:
        for path in paths:
            self.store.state.failures.pop((source_id, path), None)

    def record_run(self, started_at: str, summary: Mapping[str, int]) -> None:
        self.store.state.runs.append(RunInfo(started_at, TIME, dict(summary)))


def _put_chunks(
    state: State, generation_id: int, document_id: int, chunks: Sequence[Chunk], vectors: FloatArray
) -> None:
    for position, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True)):
        held = HeldChunk(generation_id, document_id, position, chunk, np.array(vector, np.float32))
        state.chunks[state.next_id()] = held


def _remove_chunks(state: State, documents: set[int]) -> None:
    state.chunks = {i: held for i, held in state.chunks.items() if held.document_id not in documents}


def _drop_generation(state: State, generation_id: int) -> None:
    state.chunks = {i: held for i, held in state.chunks.items() if held.generation_id != generation_id}
    del state.generations[generation_id]


def _absorb(state: State, source_id: int, root: str) -> None:
    for inner_id, (kind, inner) in list(state.sources.items()):
        if kind == TEXTS or not _within(inner, root):
            continue
        prefix = inner[len(root) :].strip("/")
        for held in state.documents.values():
            if held.incoming.source_id == inner_id:
                path = f"{prefix}/{held.incoming.path}".strip("/")
                held.incoming = replace(held.incoming, source_id=source_id, path=path)
        del state.sources[inner_id]


def _source_at(state: State, root: str) -> int:
    for source_id, (_, found) in state.sources.items():
        if found == root:
            return source_id
    raise NotInStoreError(f"no source has the root `{root}`")


class DictionaryStore:
    """A store that lives as long as this object; implements `protocols.DocumentStore`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = State()
        self._lock = threading.Lock()

    @contextmanager
    def read(self, *, healing: bool = True) -> Iterator[Reading]:
        yield Reading(self.state)

    @contextmanager
    def write(self) -> Iterator[Writing]:
        if not self._lock.acquire(blocking=False):
            raise StoreLockedError("the store is being written by this process")
        try:
            yield Writing(self)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Nothing is held open."""

    def disk_use(self) -> DiskUse:
        return DiskUse(0, 0, 0)

    def verify(self, *, share: float = 0.0, seed: int = 0) -> Verification:
        """That every chunk has a document and a vector of the right length."""
        problems = [
            Problem(Damage.CHUNK, f"chunk {chunk_id}", "has no document or another vector", held.document_id)
            for chunk_id, held in self.state.chunks.items()
            if held.document_id not in self.state.documents
            or len(held.vector) != self.state.generations[held.generation_id].fingerprint.dimension
        ]
        counts = (len(self.state.documents), len(self.state.chunks))
        return Verification(tuple(problems), *counts, chunks_checked=counts[1], segments=0)

    def repair(self, *, apply: bool = False) -> tuple[Verification, list[Repair], Path | None]:
        return self.verify(share=1.0), [], None

    def purge(self) -> None:
        """What is removed from a dictionary is gone."""

    def backup(self, destination: Path) -> Path:
        raise StoreError("a store in memory has nothing to copy", hint="use a store on disk")
