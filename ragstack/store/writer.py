"""Changing a store: one writer at a time, one transaction a document, segments published at the end.

A `Writer` exists only while its process holds the writer lock. Every method is a whole transaction: when it
returns, what it did survives a power failure; when it raises, nothing happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, delete, insert, select, table, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, Engine

from ragstack.errors import NotInStoreError, UsageError
from ragstack.records import Chunk, ChunkerSettings, FileStat, Fingerprint
from ragstack.store import documents, fulltext, integrity, segments
from ragstack.store.catalog import unpublished
from ragstack.store.clock import now
from ragstack.store.database import driver
from ragstack.store.documents import IncomingDocument
from ragstack.store.failpoints import reached
from ragstack.store.generation_changes import (
    create_generation,
    retire_generation,
    retired_generations,
    switch_generation,
)
from ragstack.store.generations import (
    BUILDING,
    IndexGeneration,
    building_generation,
    current_generation,
)
from ragstack.store.models import (
    ChunkRow,
    Failure,
    Generation,
    IngestRun,
    Segment,
    Source,
    StoredDocument,
    StoreInfo,
    VectorRow,
)
from ragstack.store.source_changes import ensure_source
from ragstack.store.sources import (
    FILES,
    FOLDER,
    KnownFailure,
    KnownFile,
    Place,
    is_within,
    known_files,
)
from ragstack.store.vectors import from_bytes

if TYPE_CHECKING:
    from ragstack.records import FloatArray

_FULL_TEXT = table(fulltext.TABLE, column("rowid"), column("body"))
"""The full-text table as far as other statements join it."""


@dataclass(slots=True)
class Writer:
    """The right to change the store in `directory`; see the module for what each method promises.

    Implements `protocols.WriteSession`.
    """

    engine: Engine
    directory: Path

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One committed change of documents; readers notice it by the sequence."""
        with self.engine.begin() as connection:
            yield connection
            connection.execute(update(StoreInfo).values(sequence=StoreInfo.sequence + 1))

    # ---------------------------------------------------------------- generations

    def generation(self) -> IndexGeneration | None:
        """The generation that documents are added to."""
        with self.engine.connect() as connection:
            return current_generation(driver(connection))

    def create_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        """Fix embedder and chunker settings of a store that has none yet."""
        with self._transaction() as connection:
            create_generation(connection, fingerprint, settings, probe)
        made = self.generation()
        assert made is not None
        return made

    def begin_generation(
        self, fingerprint: Fingerprint, settings: ChunkerSettings, probe: FloatArray
    ) -> IndexGeneration:
        """The generation to build beside the current one; an unfinished one of the same kind is continued."""
        with self.engine.begin() as connection:
            begun = building_generation(driver(connection))
            if begun and begun.fingerprint.key == fingerprint.key and begun.settings == settings:
                return begun
            if begun:
                retire_generation(connection, begun.id)
            create_generation(connection, fingerprint, settings, probe, state=BUILDING)
            made = building_generation(driver(connection))
            reached("generation begun")
        assert made is not None
        return made

    def documents_without_chunks(self, generation: IndexGeneration) -> list[int]:
        """Ids of the documents that a generation being built lacks (and of those without any text)."""
        held = select(ChunkRow.document_id).where(ChunkRow.generation_id == generation.id)
        with self.engine.connect() as connection:
            statement = select(StoredDocument.id).where(StoredDocument.id.not_in(held))
            return list(connection.execute(statement.order_by(StoredDocument.id)).scalars())

    def put_chunks(
        self,
        document_id: int,
        title: str | None,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        generation: IndexGeneration,
    ) -> None:
        """Commit the chunks of a stored document in a generation that is being built."""
        with self.engine.begin() as connection:
            documents.insert_chunks(
                connection,
                document_id=document_id,
                generation_id=generation.id,
                title=title,
                chunks=chunks,
                vectors=vectors,
            )
            reached("chunks written")
        reached("chunks committed")

    def switch_generation(self, generation: IndexGeneration) -> None:
        """Search the finished generation from now on, and delete what was searched before."""
        with self._transaction() as connection:
            switch_generation(connection, generation.id)
            reached("generation switched")
        reached("generation switch committed")
        drop_retired_generations(self.engine, self.directory)

    def known_vectors(self, generation: IndexGeneration, hashes: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """Vectors of inputs that were embedded before, by input hash.

        Only chunks that have their checksum lend their vector: a damaged one must not spread.
        """
        found: dict[bytes, FloatArray] = {}
        dimension = generation.fingerprint.dimension
        with self.engine.connect() as connection:
            for at in range(0, len(hashes), 500):
                rows = connection.execute(
                    select(*ChunkRow.__table__.columns, VectorRow.vector, _FULL_TEXT.c.body)
                    .join(VectorRow, VectorRow.chunk_id == ChunkRow.id)
                    .join(_FULL_TEXT, ChunkRow.id == _FULL_TEXT.c.rowid)
                    .where(
                        ChunkRow.generation_id == generation.id,
                        ChunkRow.input_hash.in_(hashes[at : at + 500]),
                    )
                )
                for row in rows:
                    if integrity.is_intact(row._mapping, row.body, row.vector):
                        found[row.input_hash] = from_bytes([row.vector], dimension)[0]
        return found

    # ------------------------------------------------------------------ documents

    def ensure_source(self, place: Place) -> int:
        """The id of the source at `place`, created if needed."""
        if place.source_id is not None:
            return place.source_id
        with self._transaction() as connection:
            return ensure_source(connection, place)

    def put_document(
        self, incoming: IncomingDocument, generation: IndexGeneration, *, replaces: int | None = None
    ) -> int:
        """Commit a document whole; `replaces` keeps the id of the version it takes the place of."""
        with self._transaction() as connection:
            document_id = documents.put_document(
                connection, incoming, generation_id=generation.id, replaces=replaces
            )
            _forget_failure(connection, incoming.source_id, incoming.path)
            reached("document written")
        reached("document committed")
        return document_id

    def known_files(self, source_id: int) -> dict[str, KnownFile]:
        """What the store remembers of the documents of a source, by path."""
        with self.engine.connect() as connection:
            return known_files(driver(connection), source_id, "")

    def touch_documents(self, stats: Mapping[int, tuple[FileStat, int]]) -> None:
        """Note new file states and read times, by document id, of files whose content did not change."""
        if not stats:
            return
        with self.engine.begin() as connection:  # nothing searchable changes: the sequence stays
            for document_id, (stat, read_at_ns) in stats.items():
                connection.execute(
                    update(StoredDocument)
                    .where(StoredDocument.id == document_id)
                    .values(**asdict(stat), read_at_ns=read_at_ns, stale_reason=None)
                )

    def remove_documents(self, document_ids: Iterable[int]) -> None:
        """Delete documents whole, in one transaction."""
        with self._transaction() as connection:
            documents.delete_documents(connection, document_ids)
            reached("documents removed")
        reached("removal committed")

    def record_failure(self, source_id: int, failure: KnownFailure) -> None:
        """Note a file that could not be read; a good version already stored stays and is marked stale."""
        values = {
            "source_id": source_id,
            "path": failure.path,
            "reason": failure.reason,
            "reader": failure.reader,
            "reader_version": failure.reader_version,
            **asdict(failure.stat),
            "failed_at": now(),
        }
        with self.engine.begin() as connection:
            statement = sqlite_insert(Failure).values(**values)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["source_id", "path"], set_=values)
            )
            connection.execute(
                update(StoredDocument)
                .where(StoredDocument.source_id == source_id, StoredDocument.path == failure.path)
                .values(stale_reason=failure.reason)
            )

    def forget_failures(self, source_id: int, paths: Iterable[str]) -> None:
        """Forget failed files that are gone or fine again."""
        gone = list(paths)
        if gone:
            with self.engine.begin() as connection:
                for path in gone:
                    _forget_failure(connection, source_id, path)

    # -------------------------------------------------------------------- sources

    def relocate_source(self, old: str, new: str) -> None:
        """Say that the folder `old` now lies at `new`; its documents stay as they are."""
        with self._transaction() as connection:
            source = _source_at(connection, old)
            clash = connection.execute(
                select(Source.root).where(Source.id != source, Source.kind.in_((FOLDER, FILES)))
            ).scalars()
            for root in clash:
                if is_within(new, root) or is_within(root, new):
                    raise UsageError(
                        f"`{new}` overlaps the source `{root}`",
                        hint=f"run `ragstack sources remove {root}` first if it is no longer needed",
                    )
            connection.execute(update(Source).where(Source.id == source).values(root=new))

    def remove_source(self, root: str) -> int:
        """Delete a source with all its documents; returns how many there were."""
        with self._transaction() as connection:
            source = _source_at(connection, root)
            ids = list(
                connection.execute(
                    select(StoredDocument.id).where(StoredDocument.source_id == source)
                ).scalars()
            )
            documents.delete_documents(connection, ids)
            connection.execute(delete(Source).where(Source.id == source))
        return len(ids)

    # ------------------------------------------------------------------- segments

    def publish(self, generation: IndexGeneration, *, final: bool) -> bool:
        """Publish the tail if it is long enough, or (`final`) at the end of an ingest."""
        return segments.publish(
            self.engine,
            self.directory,
            generation_id=generation.id,
            dimension=generation.fingerprint.dimension,
            final=final,
        )

    def tail_length(self, generation: IndexGeneration) -> int:
        """Number of chunks that no segment covers yet."""
        with self.engine.connect() as connection:
            return unpublished(driver(connection), generation.id)

    def record_run(self, started_at: str, summary: Mapping[str, int]) -> None:
        """Note an ingest that changed something."""
        with self.engine.begin() as connection:
            connection.execute(
                insert(IngestRun).values(
                    started_at=started_at, finished_at=now(), summary=json.dumps(dict(summary))
                )
            )


DROP_BATCH = 2_000
"""Chunks of a retired generation deleted in one transaction, so that readers and disk are not held up."""


def drop_retired_generations(engine: Engine, directory: Path) -> None:
    """Delete the chunks, files and rows of generations that are no longer searched; safe to interrupt."""
    with engine.connect() as connection:
        retired = retired_generations(connection)
    for generation_id in retired:
        with engine.begin() as connection:
            connection.execute(
                update(Segment)
                .where(Segment.generation_id == generation_id, Segment.retired_at.is_(None))
                .values(retired_at=now())
            )
        reached("segments of a retired generation retired")
        segments.remove_retired(engine, directory)
        while _drop_some(engine, generation_id):
            reached("chunks of a retired generation dropped")
        with engine.begin() as connection:
            connection.execute(delete(Generation).where(Generation.id == generation_id))
        reached("retired generation dropped")


def _drop_some(engine: Engine, generation_id: int) -> bool:
    with engine.begin() as connection:
        ids = list(
            connection.execute(
                select(ChunkRow.id).where(ChunkRow.generation_id == generation_id).limit(DROP_BATCH)
            ).scalars()
        )
        if ids:
            documents.delete_chunks(connection, ids)
    return bool(ids)


def _forget_failure(connection: Connection, source_id: int, path: str) -> None:
    connection.execute(delete(Failure).where(Failure.source_id == source_id, Failure.path == path))


def _source_at(connection: Connection, root: str) -> int:
    row = connection.execute(select(Source.id).where(Source.root == root)).scalar()
    if row is None:
        raise NotInStoreError(
            f"no source has the root `{root}`", hint="run `ragstack sources` to list the roots"
        )
    return int(row)
