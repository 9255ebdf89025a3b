"""An ingest that finds nothing changed writes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import require, result_of
from faults.library import create, reopen
from ragstack.config import DATABASE_FILE

LONG_AGO_NS = 10**18
"""A time of modification that nobody takes for a moment ago."""


def run(campaign: Campaign) -> None:
    """Random folders, ingested twice."""
    for number in range(campaign.amount(quick=1, full=30)):
        with campaign.trial("ingest of an unchanged folder", number):
            folder = campaign.folder("idle")
            rng = campaign.random("idle", number)
            files = {f"{i}.txt": library.some_text(rng) for i in range(rng.randint(1, 12))}
            result_of(_ingest_twice, folder, files)
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
