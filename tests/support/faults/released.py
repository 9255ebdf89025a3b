"""Kept stores of released revisions, upgraded by a process that is killed at every step of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import released_store

from faults import migrating
from faults.campaign import Campaign
from faults.children import Ending, Say, require, result_of, start
from ragstack.config import DATABASE_FILE
from ragstack.store import failpoints, migrations
from ragstack.store.store import Store


def run(campaign: Campaign) -> None:
    """Every kept revision, every step and its every time; then random moments."""
    for revision in released_store.released_revisions():
        folder = campaign.folder("released")
        expected = result_of(_unpack, revision, folder / "template")
        steps = Counter(_steps(folder))
        for step, times in steps.items():
            for nth in range(1, times + 1):
                with campaign.trial("kill at a step of an upgrade", f"{revision}: {step} #{nth}"):
                    _kill_at(folder, step, nth, expected)
        shutil.rmtree(folder)


def _unpack(revision: str, directory: Path) -> dict[str, object]:
    return released_store.unpack(revision, directory)


def _copy(folder: Path) -> Path:
    copy = folder / "store"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "template", copy)
    return copy


def _upgrade(store: Path) -> None:
    with migrating.later_revision():
        Store.open(store).close()


def _steps(folder: Path) -> list[str]:
    store = _copy(folder)

    def work(say: Say) -> None:
        failpoints.arm(lambda step: say(f"STEP {step}"))
        _upgrade(store)

    ending = start(work).wait()
    ending.require_done()
    return ending.said("STEP")


def _kill_at(folder: Path, step: str, nth: int, expected: dict[str, object]) -> None:
    store = _copy(folder)
    ending = _killed(store, step, nth)
    require(ending.was_killed, f"was not killed: {ending.lines[-20:]}")
    found = result_of(migrations.revision, store / DATABASE_FILE)
    require(found in (expected["revision"], "9999"), f"is of revision {found}")
    if found == expected["revision"]:
        result_of(_require_kept, store, expected)
    result_of(_require_upgraded, store, expected)


def _killed(store: Path, step: str, nth: int) -> Ending:
    left = nth

    def callback(reached: str) -> None:
        nonlocal left
        left -= reached == step
        if left == 0 and reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def work(_say: Say) -> None:
        failpoints.arm(callback)
        _upgrade(store)

    return start(work).wait()


def _require_upgraded(store: Path, expected: dict[str, object]) -> None:
    with migrating.later_revision():
        _require_kept(store, expected)
        with Store.open(store) as opened, opened.write():
            pass  # whoever writes next tidies up
    for saved in (store / "backups").iterdir():
        require((saved / DATABASE_FILE).is_file(), f"the unfinished backup `{saved.name}` is left")


def _require_kept(store: Path, expected: dict[str, object]) -> None:
    """Texts, spans and vectors are those that were packed, and verification finds nothing."""
    with Store.open(store) as opened:
        problems = opened.verify(share=1.0).problems
        require(not problems, f"verify: {problems}")
        with opened.read(healing=False) as snapshot:
            held = {info.path: snapshot.document(info.document_id).text for info in snapshot.documents()}
            hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in held.items()}
            require(hashes == expected["texts"], "the texts are others")
            rows = expected["chunks"]
            chunks, vectors = (read([row[0] for row in rows]) for read in (snapshot.chunks, snapshot.vectors))
    for chunk_id, path, position, first, end, vector in rows:
        chunk = chunks[chunk_id]
        require(
            (chunk.path, chunk.position, chunk.start, chunk.end) == (path, position, first, end)
            and vectors[chunk_id].tobytes() == bytes.fromhex(vector),
            f"chunk {chunk_id} is another",
        )
