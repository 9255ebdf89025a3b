"""What a store must be after any fault: whole, in agreement with itself, tidy, and ready for the next ingest.

Every comparison is made here anew, beside the store's own `verify`, which must agree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from faults.children import require
from faults.library import embedder, embedder_of, reopen
from ragstack.config import DATABASE_FILE
from ragstack.records import Filter
from ragstack.store.connections import scalar
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.snapshot import Snapshot
from ragstack.store.store import Store
from ragstack.store.verification import Damage, verify
from ragstack.system import RAGSystem

Allowed = Mapping[str, Sequence[str | None]]
"""By path: the texts that a document may have; None: it may be absent."""

PROBE = "probe of the oracle"


def check(directory: Path, allowed: Allowed, *, may_warn: bool = False) -> dict[str, str]:
    """Everything; returns the texts found, by path. ViolationError says what is wrong."""
    warnings: list[str] = []
    with reopen(directory, warnings.append) as rag:
        texts = check_reading(rag.store)
        _check_texts(texts, allowed)
        _check_next_ingest(rag)
        check_reading(rag.store)
        rag.history.conversations()
    require(may_warn or not warnings, f"warned: {warnings}")
    check_files(directory)
    return texts


def _check_texts(texts: Mapping[str, str], allowed: Allowed) -> None:
    for path in sorted({*texts, *allowed}):
        require(
            texts.get(path) in allowed.get(path, (None,)),
            f"`{path}` holds {texts.get(path)!r}, allowed {allowed.get(path, (None,))!r}",
        )


def check_reading(store: Store) -> dict[str, str]:
    """That verification is clean and that texts, vectors and full-text rows agree; returns the texts."""
    with store.read(healing=False) as snapshot:
        problems = verify(snapshot.connection, store.directory, share=1.0).problems
        serious = [problem for problem in problems if problem.damage is not Damage.STRAY_FILE]
        require(not serious, f"verify: {serious}")
        _check_vectors(snapshot)
        texts = {}
        for info in snapshot.documents():
            texts[info.path] = snapshot.document(info.document_id).text
    _check_database(store.database)
    texts.pop(PROBE, None)
    return texts


def _check_vectors(snapshot: Snapshot) -> None:
    """Each live id of the index has the vector in SQLite, which is the embedding of its chunk's text."""
    if snapshot.index is None:
        return
    index = snapshot.index
    expected = _embedded(snapshot)
    held = set(index.tail_ids.tolist())
    for chunk_id, vector in zip(index.tail_ids.tolist(), index.tail_vectors, strict=True):
        require(
            (expected[chunk_id] == vector).all(),
            f"chunk {chunk_id} is in the tail with the vector of another text",
        )
    dead = set(index.dead.tolist())
    for part in index.segments:
        for ids, codes in part.vectors.parts():
            live = [at for at, chunk_id in enumerate(ids.tolist()) if chunk_id not in dead]
            names = ids[live].tolist()
            require(not held & set(names), f"of the chunks {names} some are in the index twice")
            held |= set(names)
            if names:
                right = part.vectors.agrees(codes[live], np.stack([expected[name] for name in names]))
                require(right.all(), f"of the chunks {names} some have another text's vector in the index")
    require(set(expected) == held, "the index holds other ids than the database")


def _embedded(snapshot: Snapshot) -> dict[int, np.ndarray]:
    """The embedding of every chunk's text, which must be what SQLite keeps."""
    rows = snapshot.connection.execute(
        "SELECT c.id, c.context, v.vector FROM chunks c JOIN vectors v ON v.chunk_id = c.id "
        "WHERE c.generation_id = ?", (snapshot.index.generation_id,),
    ).fetchall()  # fmt: skip
    ids = [chunk_id for chunk_id, _, _ in rows]
    chunks = snapshot.chunks(ids)
    inputs = [f"{context}\n{chunks[i].text}" if context else chunks[i].text for i, context, _ in rows]
    expected = dict(zip(ids, _embedder(snapshot).embed_documents(inputs), strict=True))
    for chunk_id, _, vector in rows:
        stored = np.frombuffer(vector, dtype="<f4")
        require((stored == expected[chunk_id]).all(), f"chunk {chunk_id} has another text's vector in SQLite")
    return expected


def _embedder(snapshot: Snapshot):
    weights = scalar(snapshot.connection, "SELECT fingerprint FROM generations WHERE state = 'current'")
    import json

    return embedder(int(json.loads(weights)["weights"].split()[-1]))


def _check_database(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
        require(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "integrity_check")
        require(connection.execute("PRAGMA foreign_key_check").fetchall() == [], "foreign_key_check")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO chunk_search(chunk_search, rank) VALUES ('integrity-check', 1)")
        connection.execute("ROLLBACK")


def _check_next_ingest(rag: RAGSystem) -> None:
    number = len(rag.store.directory.name) + 7
    document_id = rag.add_document(f"The {PROBE} number {number} is readable.", name=PROBE)
    hits = rag.retrieve(f"{PROBE} number {number}", top_k=5)
    require(document_id in [hit.chunk.document_id for hit in hits], "the next document cannot be found")
    rag.remove_document(document_id)


def check_files(directory: Path) -> None:
    """No file but those that belong to a store; the caller ended a writing command before."""
    with closing(sqlite3.connect(directory / DATABASE_FILE)) as connection:
        named = {row[0] for row in connection.execute("SELECT file FROM segments")}
    index = directory / INDEX_DIRECTORY
    present = {path.name for path in index.iterdir()} if index.is_dir() else set()
    require(present <= named, f"stray index files {sorted(present - named)}")
    known = {DATABASE_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", "write.lock", INDEX_DIRECTORY,
             "quarantine", "backups", "history.db", "history.db-wal", "history.db-shm",
             "history.lock"}  # fmt: skip
    stray = {path.name for path in directory.iterdir()} - known
    require(not stray, f"stray files {sorted(stray)}")
    for backup in (directory / "backups").glob("*"):
        require((backup / DATABASE_FILE).is_file(), f"unfinished backup {backup.name}")


def answers(directory: Path) -> dict[str, object]:
    """What the store says: its documents and what it finds; comparable with another time's.

    Left out are times and what only decides whether a file is read again.
    """
    questions = ("amber basin cedar", "compass drift", "zenith harbor island lantern")
    model = embedder_of(directory)
    with Store.open(directory) as store, store.read(healing=False) as snapshot:
        found: dict[str, object] = {}
        for question in questions:
            vector = model.embed_query(question)
            dense = snapshot.dense_candidates(vector, 10, Filter())
            lexical = snapshot.lexical_candidates(question, 10, Filter())
            chunks = snapshot.chunks({one.chunk_id for one in dense + lexical})
            for kind, candidates in (("dense", dense), ("lexical", lexical)):
                found[f"{kind} {question}"] = [
                    (one.chunk_id, round(one.score, 5), repr(replace(chunks[one.chunk_id], content_hash="")))
                    for one in candidates
                    if one.chunk_id in chunks
                ]
        for info in snapshot.documents():
            document = snapshot.document(info.document_id)
            place = repr(snapshot.locate(info.document_id, 0, info.characters))
            shown = repr((info.source_kind, info.root, info.path, info.title, info.media_type, info.chunks))
            found[f"document {info.document_id}"] = (shown, repr(document), place)
    return found
