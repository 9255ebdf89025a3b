"""Processes at the same store: two that ingest, and many that read while one writes."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import numpy as np

from faults import library
from faults.campaign import Campaign
from faults.children import Say, require, result_of, start
from faults.library import create, embedder_of
from faults.oracle import check
from ragstack.errors import StoreLockedError
from ragstack.records import Filter
from ragstack.store.snapshot import Snapshot
from ragstack.store.store import Store
from ragstack.store.stored_vectors import read_vectors_of

READERS = 8
NAMES = 12
SECONDS_TO_SEE = 1.0


def run(campaign: Campaign) -> None:
    """Two ingests at once, several times; one long ingest with readers."""
    for number in range(campaign.amount(quick=1, full=20)):
        with campaign.trial("two ingests, one folder", number):
            _two_ingests(campaign, number, same=True)
        with campaign.trial("two ingests, two folders", number):
            _two_ingests(campaign, number, same=False)
    seconds = campaign.amount(quick=10, full=180)
    with campaign.trial(f"ingest with {READERS} readers, {seconds} s"):
        _with_readers(campaign, seconds)


def _two_ingests(campaign: Campaign, number: int, *, same: bool) -> None:
    rng = campaign.random("together", number, same)
    directory = campaign.folder("together")
    store = directory / "store"
    folders = [directory / name for name in (("one", "one") if same else ("one", "two"))]
    allowed = {}
    for folder in dict.fromkeys(folders):
        files = {f"{folder.name}-{i}.txt": library.some_text(rng) for i in range(15)}
        library.write_folder(folder, files)
        allowed |= {name: (library.text_of_file(data, name),) for name, data in files.items()}
    children = [start(lambda say, f=folder: _ingest_patiently(store, f)) for folder in folders]
    for child in children:
        child.wait().require_done()
    result_of(check, store, allowed)
    shutil.rmtree(directory)


def _ingest_patiently(store: Path, folder: Path) -> None:
    """Ingest; while the other one holds the lock longer than the stated wait, try again as it advises."""
    for _ in range(10):
        try:
            with create(store) as rag:
                rag.ingest(folder)
            return
        except StoreLockedError as error:
            require("process" in error.message, f"the holder is not named: {error.message}")
    raise AssertionError("never got the lock")


# --------------------------------------------------------------------------- readers


def _with_readers(campaign: Campaign, seconds: int) -> None:
    directory = campaign.folder("readers")
    store, board = directory / "store", directory / "board.json"
    start(lambda say: _write(store, board, 0.0, 1)).wait().require_done()
    until = time.monotonic() + seconds
    seed = campaign.random("readers").randrange(10**9)
    readers = [start(lambda say, s=i: _read(store, board, until, s, say)) for i in range(READERS)]
    writer = start(lambda say: _write(store, board, until, seed, say))
    endings = [child.wait(seconds + 120) for child in (writer, *readers)]
    for ending in endings:
        ending.require_done()
    queries = sum(int(line) for ending in endings[1:] for line in ending.said("QUERIES"))
    warnings = [line for ending in endings[1:] for line in ending.said("WARNING")]
    commits = endings[0].said("COMMITS")[0]
    campaign.row(
        f"ingest with {READERS} readers, {seconds} s"
    ).note = f"{queries} queries, {commits} commits, {len(warnings)} warnings {warnings[:1]}"
    expected = json.loads(board.read_text())["texts"]
    result_of(check, store, {name: (body,) for name, body in expected.items()})
    shutil.rmtree(directory)


def _write(store: Path, board: Path, until: float, seed: int, say: Say = lambda line: None) -> None:
    """Add, replace, delete, publish and compact until the time is over, telling the board of it."""
    rng, texts, number = random.Random(seed), {}, 0
    if board.exists():
        known = json.loads(board.read_text())
        texts, number = known["texts"], known["number"]
    with library.open_or_create(store) as rag:
        while number == 0 or time.monotonic() < until:
            number += 1
            name = f"fresh {number % NAMES}"
            body = f"Number {number} is fresh. {library.some_text(rng)}".strip()
            rag.add_document(body, name=name)
            texts[name] = body
            if rng.random() < 0.2 and len(texts) > 3:
                gone = rng.choice(sorted(set(texts) - {name}))
                _tell(board, number, {key: value for key, value in texts.items() if key != gone})
                rag.remove_document(gone)
                del texts[gone]
            _tell(board, number, texts)
            if rng.random() < 0.1:
                with rag.store.write() as writer:
                    writer.publish(writer.generation(), final=True)
    say(f"COMMITS {number}")


def _tell(board: Path, number: int, texts: dict[str, str]) -> None:
    """Replace the board in one step, so that nobody reads half of it."""
    aside = board.with_suffix(".new")
    aside.write_text(json.dumps({"number": number, "texts": texts}))
    aside.replace(board)


def _read(store: Path, board: Path, until: float, seed: int, say: Say) -> None:
    """Query without pause; every hit is right, and what the board told before is there."""
    rng, queries, sequence = random.Random(seed), 0, -1
    model = embedder_of(store)
    with Store.open(store, warn=lambda warning: say(f"WARNING {warning}")) as opened:
        while time.monotonic() < until:
            told = json.loads(board.read_text())["number"]
            with opened.read() as snapshot:
                sequence = _check_state(snapshot, model, rng, told, sequence)
            queries += 1
    say(f"QUERIES {queries}")


def _check_state(snapshot: Snapshot, model, rng: random.Random, told: int, sequence: int) -> int:
    question = " ".join(rng.choices(library.WORDS, k=3))
    vector = model.embed_query(question)
    dense = snapshot.dense_candidates(vector, 10, Filter())
    lexical = snapshot.lexical_candidates(question, 10, Filter())
    ids = sorted({one.chunk_id for one in dense + lexical})
    chunks = snapshot.chunks(ids)
    require(set(chunks) == set(ids), "a hit has no chunk")
    found, stored = read_vectors_of(snapshot.connection, ids, model.dimension)
    contexts = dict(snapshot.connection.execute("SELECT id, context FROM chunks"))
    inputs = [f"{contexts[i]}\n{chunks[i].text}" if contexts[i] else chunks[i].text for i in found.tolist()]
    require(np.array_equal(model.embed_documents(inputs), stored), "a hit's text has another vector")
    rows = dict(zip(found.tolist(), stored, strict=True))
    for one in dense:
        require(abs(float(rows[one.chunk_id] @ vector) - one.score) < 1e-5, "a score of another vector")
    newest = max(int(snapshot.document(info.document_id).text.split()[1]) for info in snapshot.documents())
    require(newest >= told, f"number {told} was acknowledged, but {newest} is the newest that is seen")
    now = snapshot.index.sequence if snapshot.index else 0
    require(now >= sequence, "the state went back")
    return now
