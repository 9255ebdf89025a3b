"""After a purge, nothing of removed documents is in any file of the store, whatever its history."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import require, result_of
from faults.library import reopen
from faults.oracle import check
from ragstack.config import DATABASE_FILE

RUN = 16
"""Bytes: no piece of a removed text as long as this may be left."""


def run(campaign: Campaign) -> None:
    """Random histories, each purged."""
    for number in range(campaign.amount(quick=1, full=40)):
        with campaign.trial("purge", f"history {number}"):
            folder = campaign.folder("purging")
            allowed = result_of(_live_and_purge, folder, campaign.random("purging", number).randrange(10**9))
            result_of(check, folder / "store", {name: (text,) for name, text in allowed.items()})
            shutil.rmtree(folder)


def _live_and_purge(folder: Path, seed: int) -> dict[str, str]:
    """Add, ask, replace, remove, publish, back up and re-embed; purge; search every file for traces."""
    rng, store = random.Random(seed), folder / "store"
    secrets: list[bytes] = []
    texts: dict[str, str] = {}
    with library.create(store) as rag:
        for _ in range(rng.randint(8, 16)):
            name = f"text {rng.randint(0, 6)}"
            if name in texts:
                secrets += _traces(store, name, texts.pop(name))
                rag.remove_document(name)
            texts[name] = _unlike_others(rng)
            rag.add_document(texts[name], name=name)
            if rng.random() < 0.5:
                asked = rng.choice(texts[rng.choice(sorted(texts))].rstrip(".").split())
                rag.record(rag.ask(asked))  # the history keeps what the answer quotes
            if rng.random() < 0.3:
                with rag.store.write() as writer:
                    writer.publish(writer.generation(), final=True)
    if rng.random() < 0.5:
        with reopen(store) as rag:
            rag.backup(store / "backups" / "before")
            rag.reembed(embedder=library.embedder(1))
    with reopen(store) as rag:
        for name in rng.sample(sorted(texts), k=len(texts) // 2):
            secrets += _traces(store, name, texts.pop(name))
            rag.remove_document(name)
        rag.purge()
        left = b"".join(path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file())
    found = [trace for trace in secrets if trace in left]
    require(secrets, "nothing was removed")
    require(not found, f"{len(found)} of {len(secrets)} traces are left: {found[:3]}")
    return texts


def _unlike_others(rng: random.Random) -> str:
    """A text that shares no run of bytes with any other."""
    return " ".join(f"w{rng.randrange(10**9)}" for _ in range(rng.randint(10, 60))) + "."


def _traces(store: Path, name: str, text: str) -> list[bytes]:
    """Every run of the text, and the vectors of its chunks."""
    data = text.encode()
    runs = [data[at : at + RUN] for at in range(len(data) - RUN + 1)]
    with closing(sqlite3.connect(store / DATABASE_FILE)) as connection:
        vectors = connection.execute(
            "SELECT v.vector FROM vectors v JOIN chunks c ON c.id = v.chunk_id "
            "JOIN documents d ON d.id = c.document_id WHERE d.path = ?", (name,)
        ).fetchall()  # fmt: skip
    require(vectors, f"`{name}` has no vectors")
    return runs + [row[0] for row in vectors]
