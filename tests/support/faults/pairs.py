"""Databases and index files that do not belong together: older, newer, copied, restored and gone on."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import result_of
from faults.library import reopen
from faults.oracle import check
from ragstack.config import DATABASE_FILE
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.system import RAGSystem


def run(campaign: Campaign) -> None:
    """Histories of three moments, put together in every wrong way."""
    for number in range(campaign.amount(quick=1, full=40)):
        folder = campaign.folder("pairs")
        moments = result_of(_three_moments, folder, campaign.random("pairs", number).randrange(10**9))
        for way, (database, index) in WAYS.items():
            with campaign.trial("stale pair", f"history {number}: {way}"):
                mixed = folder / "mixed"
                shutil.rmtree(mixed, ignore_errors=True)
                _mix(folder, mixed, database, index)
                _judge(mixed, moments[database])
        with campaign.trial("restored and gone on", f"history {number}"):
            result_of(_restore_and_go_on, folder, moments)
        shutil.rmtree(folder)


WAYS = {
    "old database, new index": (0, (2,)),
    "new database, old index": (2, (0,)),
    "middle database, both indexes": (1, (0, 2)),
    "old database, no index": (0, ()),
    "a copied directory": (2, (2,)),
    "new database, all indexes": (2, (0, 1, 2)),
}


def _three_moments(folder: Path, seed: int) -> list[dict[str, str]]:
    """Copies of a store at three moments; returns the texts at each."""
    rng, texts, moments = random.Random(seed), {}, []
    store = folder / "store"
    for moment in range(3):
        with library.open_or_create(store) as rag:
            for _ in range(rng.randint(3, 8)):
                _change(rag, texts, rng)
            if rng.random() < 0.8:
                with rag.store.write() as writer:
                    writer.publish(writer.generation(), final=True)
        shutil.copytree(store, folder / str(moment))
        moments.append(dict(texts))
    return moments


def _change(rag: RAGSystem, texts: dict[str, str], rng: random.Random) -> None:
    if texts and rng.random() < 0.25:
        name = rng.choice(sorted(texts))
        rag.remove_document(name)
        del texts[name]
        return
    name = f"text {rng.randint(0, 9)}"
    texts[name] = library.some_text(rng, 5).strip()
    rag.add_document(texts[name], name=name)


def _mix(folder: Path, mixed: Path, database: int, indexes: tuple[int, ...]) -> None:
    (mixed / INDEX_DIRECTORY).mkdir(parents=True)
    shutil.copy(folder / str(database) / DATABASE_FILE, mixed / DATABASE_FILE)
    for index in indexes:
        for path in (folder / str(index) / INDEX_DIRECTORY).glob("*"):
            shutil.copy(path, mixed / INDEX_DIRECTORY / path.name)


def _judge(mixed: Path, texts: dict[str, str]) -> None:
    """Readers are right at once; after a writing command so is the directory."""
    result_of(_mend_and_check, mixed, {name: (text,) for name, text in texts.items()})


def _mend_and_check(mixed: Path, allowed: dict[str, tuple[str, ...]]) -> None:
    with reopen(mixed) as rag:
        for name, (text,) in allowed.items():
            hits = rag.retrieve(text, top_k=3)
            assert name in [hit.chunk.path for hit in hits], f"{name} is not found by its own text"
        with rag.store.write():
            pass
    check(mixed, allowed)


def _restore_and_go_on(folder: Path, moments: list[dict[str, str]]) -> None:
    """A backup of the first moment, restored, with the later index beside it, goes another way."""
    restored, saved = folder / "restored", folder / "saved"
    with reopen(folder / "0") as rag:
        rag.backup(saved)
    RAGSystem.restore(saved, restored).close()
    for path in (folder / "2" / INDEX_DIRECTORY).glob("*"):
        if not (restored / INDEX_DIRECTORY / path.name).exists():
            shutil.copy(path, restored / INDEX_DIRECTORY / path.name)
    texts, rng = dict(moments[0]), random.Random(len(moments[2]))
    for _ in range(4):
        with library.open_or_create(restored) as rag:
            _change(rag, texts, rng)
            with rag.store.write() as writer:
                generation = writer.generation()
                if generation is not None:
                    writer.publish(generation, final=True)
    check(restored, {name: (text,) for name, text in texts.items()})
