"""`scripts/faults`: run the campaign, print its table, and fail if anything failed."""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from faults.campaign import Campaign

ITEMS = {
    "kills": "random SIGKILLs over everything that changes a store",
    "steps": "a kill and an error at every named step",
    "syscalls": "a kill and an error at every Nth system call (needs strace)",
    "space": "a full disk",
    "damage": "flipped bits, truncation, zeroed pages, foreign files",
    "pairs": "databases and index files of different times",
    "together": "two ingests at once, and an ingest with readers",
    "power": "power loss: unsynced writes dropped or torn (needs strace)",
    "model": "a random history against a dictionary and brute force",
    "purging": "nothing is left of purged documents",
    "idle": "an unchanged folder writes nothing, and a folder that lost too much removes nothing",
    "released": "kept stores of released revisions, killed at every step of their upgrade",
    "formats": "hostile files, and mutated files of every format",
}

PRELOADED = (
    "alembic.command", "alembic.config", "alembic.autogenerate", "faiss", "filelock", "hypothesis.stateful",
    "ragstack.embedding.fingerprint", "ragstack.embedding.open", "ragstack.ingestion.reembed",
    "ragstack.ingestion.run", "ragstack.ingestion.texts", "ragstack.loading.readers.text",
    "ragstack.retrieval.search", "ragstack.store.maintenance", "ragstack.store.verification",
    "sqlalchemy.dialects.sqlite", "sqlite3",
)  # fmt: skip


def main() -> None:
    """Parse the arguments, run the items, print the table."""
    parser = argparse.ArgumentParser(
        prog="scripts/faults", description="Try what a store must survive.",
        epilog="Items: " + "; ".join(f"{name}: {what}" for name, what in ITEMS.items()),
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a small share of each item, in minutes")
    parser.add_argument("--share", type=float, default=1.0, help="of a full run's tries: 0.1 is a tenth")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", nargs="+", choices=[*ITEMS], default=[*ITEMS], metavar="ITEM")
    parser.add_argument("--progress", type=Path, help="append progress to this file")
    parser.add_argument("--keep", action="store_true", help="keep the stores that failed")
    arguments = parser.parse_args()
    if not hasattr(os, "fork"):
        sys.exit("Error: the fault campaign needs a POSIX system")
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="ragstack-faults-", dir=memory))
    campaign = Campaign(arguments.seed, arguments.quick, folder, arguments.progress, arguments.share)
    try:
        _run(campaign, arguments.only)
    finally:
        if not (arguments.keep and campaign.failed):
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"{campaign.table()}\n")
    sys.exit(1 if campaign.failed else 0)


def _run(campaign: Campaign, items: list[str]) -> None:
    from faults.library import shrink_thresholds

    shrink_thresholds()
    for module in PRELOADED:
        importlib.import_module(module)
    for item in items:
        began = time.monotonic()
        importlib.import_module(f"faults.{item}").run(campaign)
        campaign.tell(f"{item}: {time.monotonic() - began:.0f} s, {campaign.failed} failed so far")
