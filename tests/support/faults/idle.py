"""An ingest that finds nothing changed writes nothing, and one that misses too much removes nothing."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import require, result_of
from faults.library import create, reopen
from ragstack.config import DATABASE_FILE
from ragstack.records import FileState
from ragstack.system import RAGSystem

LONG_AGO_NS = 10**18
"""A time of modification that nobody takes for a moment ago."""


def run(campaign: Campaign) -> None:
    """Random folders, ingested twice; and again with some files gone, or all, or the folder itself."""
    for number in range(campaign.amount(quick=1, full=30)):
        with campaign.trial("ingest of an unchanged folder", number):
            folder = campaign.folder("idle")
            rng = campaign.random("idle", number)
            files = {f"{i}.txt": library.some_text(rng) for i in range(rng.randint(1, 12))}
            result_of(_ingest_twice, folder, files)
            shutil.rmtree(folder)
        with campaign.trial("ingest of a folder that lost files", number):
            folder = campaign.folder("lost")
            result_of(_lose, folder, campaign.random("lost", number).randrange(10**9))
            shutil.rmtree(folder)


def _ingest_twice(folder: Path, files: dict[str, str]) -> None:
    library.write_folder(folder / "files", files)
    for path in (folder / "files").iterdir():
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    with create(folder / "store") as rag:
        rag.ingest(folder / "files")
    with closing(sqlite3.connect(folder / "store" / DATABASE_FILE)) as watching:
        before = _versions(watching)
        with reopen(folder / "store") as rag:
            report = rag.ingest(folder / "files")
        after = _versions(watching)
    require(report.unchanged == len(files), f"{report.unchanged} of {len(files)} files were unchanged")
    require(before == after, f"something was written: {before} became {after}")


def _versions(connection: sqlite3.Connection) -> list[int]:
    """Changes when another connection commits, and when a schema does."""
    return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("data_version", "schema_version")]


def _lose(folder: Path, seed: int) -> None:
    """What is gone is removed only if it is no more than half; a folder that is gone loses nothing."""
    rng, files = random.Random(seed), folder / "files"
    names = [f"{number}.txt" for number in range(rng.randint(1, 12))]
    library.write_folder(files, {name: library.some_text(rng) for name in names})
    gone = rng.sample(names, k=rng.randint(1, len(names)))
    with create(folder / "store") as rag:
        rag.ingest(files)
        files.rename(folder / "unmounted")
        _require_held(rag, files, names, names)
        (folder / "unmounted").rename(files)
        for name in gone:
            (files / name).unlink()
        left = [name for name in names if name not in gone]
        _require_held(rag, files, left if 2 * len(gone) <= len(names) else names, names)
        if left:
            rag.ingest(files, prune=True)
            _require_held(rag, files, left, names)
        files.rename(folder / "unmounted")
        rag.ingest(files, prune=True)
        require(not _held(rag), "with `--prune` everything of a folder that is gone is removed")


def _require_held(rag: RAGSystem, files: Path, expected: list[str], names: list[str]) -> None:
    report = rag.ingest(files)
    require(_held(rag) == set(expected), f"{sorted(_held(rag))} is held of {names}, not {expected}")
    require(len(expected) < len(names) or not report.count(FileState.REMOVED), "something was removed")


def _held(rag: RAGSystem) -> set[str]:
    with rag.store.read() as snapshot:
        return {info.path for info in snapshot.documents()}
