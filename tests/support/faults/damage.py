"""Damaged files: flipped bits, truncation, zeroed pages, files of another store.

Each case is a copy of one small store with one thing wrong. The store must say so (an error, a warning, or
`verify`) or answer as before.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import Say, ViolationError, require, result_of, start
from faults.library import create, reopen
from faults.oracle import answers
from ragstack.config import DATABASE_FILE
from ragstack.errors import RagstackError
from ragstack.store.index import INDEX_DIRECTORY
from ragstack.store.store import Store
from ragstack.store.verification import Damage, verify

BATCH = 25
SECONDS = 60
"""Longer than any batch takes on a busy machine; whatever takes longer hangs."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to do to a file of the store, relative to its directory."""

    file: str
    name: str
    change: Callable[[bytearray], bytes]


def run(campaign: Campaign) -> None:
    """Segment, database, write-ahead log."""
    template = campaign.folder("template")
    result_of(_fill, template, 1)
    other = campaign.folder("other")
    result_of(_fill, other, 2)
    expected = [result_of(answers, template)]
    rng = campaign.random("damage")
    segment = _segment(template)
    name = f"{INDEX_DIRECTORY}/{segment.name}"
    foreign = _segment(other)
    _try_all(campaign, "damaged index file", template, expected, [
        *_flips(campaign, name, segment.stat().st_size, rng),
        *_cuts(name, segment.stat().st_size),
        Case(name, "another store's", lambda _: foreign.read_bytes()),
        Case(name, "empty", lambda _: b""),
    ])  # fmt: skip
    database = (template / DATABASE_FILE).read_bytes()
    _try_all(campaign, "truncated or zeroed database", template, expected, [
        *_cuts(DATABASE_FILE, len(database), step=campaign.amount(quick=len(database) // 3, full=512)),
        *_zeroed(len(database), campaign.amount(quick=4, full=1_000), rng),
    ])  # fmt: skip
    for region, pages in result_of(_regions, template).items():
        cases = _page_flips(database, pages, campaign.amount(quick=1, full=40), rng)
        _try_all(campaign, f"bit flips in {region}", template, expected, cases)
    _run_log(campaign, rng)


def _segment(directory: Path) -> Path:
    """The index file that is searched; smaller ones were merged into it."""
    return max((directory / INDEX_DIRECTORY).iterdir(), key=lambda path: path.stat().st_size)


def _fill(directory: Path, seed: int) -> None:
    """A store with a segment, masked vectors, a tail, metadata and a document in pages."""
    rng = random.Random(seed)
    folder = directory.parent / f"{directory.name}-files"
    library.write_folder(folder, {f"{word}.txt": library.some_text(rng) for word in library.WORDS[:8]})
    (folder / "titled.md").write_text(
        "---\nauthor: Ann\n---\n# Amber\n\ntext of amber\n\n## Basin\n\nbasin compass drift\n"
    )
    with create(directory) as rag:
        rag.ingest(folder)
        with rag.store.write() as writer:
            writer.publish(writer.generation(), final=True)
        rag.remove_document("amber.txt")
        rag.add_document("A tail about harbors and compass drift.", name="tail", metadata={"kind": "tail"})


def _flips(campaign: Campaign, file: str, size: int, rng: random.Random) -> list[Case]:
    """One flipped bit in every byte (in a hurry, or in a slice, in some)."""
    count = min(size, campaign.amount(quick=24, full=size))
    places = range(size) if count == size else sorted(rng.sample(range(size), k=count))
    return [_flip(file, at, rng.randrange(8)) for at in places]


def _flip(file: str, at: int, bit: int) -> Case:
    def change(data: bytearray) -> bytes:
        data[at] ^= 1 << bit
        return bytes(data)

    return Case(file, f"bit {bit} of byte {at}", change)


def _cuts(file: str, size: int, step: int = 512) -> list[Case]:
    return [Case(file, f"cut at {at}", lambda data, at=at: bytes(data[:at])) for at in range(0, size, step)]


def _zeroed(size: int, most: int, rng: random.Random) -> list[Case]:
    def zero(data: bytearray, at: int) -> bytes:
        data[at : at + 4_096] = bytes(4_096)
        return bytes(data)

    pages = range(0, size, 4_096)
    chosen = pages if len(pages) <= most else sorted(rng.sample(pages, most))
    return [Case(DATABASE_FILE, f"page at {at} zeroed", lambda data, at=at: zero(data, at)) for at in chosen]


def _regions(directory: Path) -> dict[str, list[tuple[int, int]]]:
    """Start and end of the pages of each table and index, of the header and of the free list."""
    with closing(sqlite3.connect(directory / DATABASE_FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        count = connection.execute("PRAGMA page_count").fetchone()[0]
        regions: dict[str, list[tuple[int, int]]] = {"the header": [(0, 100)]}
        used = {1}
        for name, page in connection.execute("SELECT name, pageno FROM dbstat").fetchall():
            used.add(page)
            regions.setdefault(name, []).append(((page - 1) * size, page * size))
        free = [((page - 1) * size, page * size) for page in range(1, count + 1) if page not in used]
    return regions | ({"the free list": free} if free else {})


def _page_flips(
    database: bytes, pages: Sequence[tuple[int, int]], count: int, rng: random.Random
) -> list[Case]:
    """Flips in these pages; most of them where there is something, for most of a page is empty."""
    everywhere = [at for first, end in pages for at in range(first, end)]
    used = [at for at in everywhere if database[at]] or everywhere
    places = [rng.choice(used if rng.random() < 0.9 else everywhere) for _ in range(count)]
    return [_flip(DATABASE_FILE, at, rng.randrange(8)) for at in places]


# ------------------------------------------------------------------------ judgement


def _try_all(
    campaign: Campaign,
    fault: str,
    template: Path,
    expected: Sequence[dict[str, object]],
    cases: Sequence[Case],
) -> None:
    """Every case, in batches of one child each; after a crash the next child goes on behind it."""
    at = 0
    outcomes: dict[str, int] = {}
    while at < len(cases):
        verdicts = _verdicts(campaign, template, expected, cases[at : at + BATCH])
        for case, verdict in zip(cases[at:], verdicts, strict=False):
            with campaign.trial(fault, f"{case.file} {case.name}"):
                kind, _, detail = verdict.partition(" ")
                outcomes[kind] = outcomes.get(kind, 0) + 1
                require(kind not in ("silent", "unclear", "crash"), f"{kind}: {detail}")
        at += len(verdicts)
    campaign.row(fault).note = ", ".join(f"{count} {kind}" for kind, count in sorted(outcomes.items()))


def _verdicts(
    campaign: Campaign, template: Path, expected: Sequence[dict[str, object]], cases: Sequence[Case]
) -> list[str]:
    place = campaign.folder("damaged")

    def work(say: Say) -> None:
        for case in cases:
            shutil.rmtree(place)
            shutil.copytree(template, place)
            path = place / case.file
            path.write_bytes(case.change(bytearray(path.read_bytes())))
            say(f"VERDICT {_verdict(place, expected)}")

    ending = start(work).wait(SECONDS)
    shutil.rmtree(place, ignore_errors=True)
    verdicts = ending.said("VERDICT")
    if ending.code:
        verdicts.append(f"crash (code {ending.code}, hung: {ending.timed_out}) {ending.lines[-12:]}")
    return verdicts


def _verdict(directory: Path, expected: Sequence[dict[str, object]]) -> str:
    """`error`, `warned`, `verified`, `harmless`; or what must not be: `silent`, `unclear`."""
    try:
        found = json.loads(json.dumps(answers(directory)))
        error = ""
    except (RagstackError, OSError) as raised:
        found, error = {}, str(raised)
    except Exception:
        found, error = {}, ""
        said = _said(directory)
        return f"unclear {said} {traceback.format_exc()[-700:]!r}"
    if error:
        return f"error {error!r}"
    said = _said(directory)
    if said:
        return said
    if found in expected:
        return "harmless"
    return f"silent {_difference(found, expected[0])}"


def _said(directory: Path) -> str:
    """What warnings and `verify` say of the store."""
    warnings: list[str] = []
    try:
        with Store.open(directory, warn=warnings.append) as store, store.read(healing=False) as snapshot:
            found = verify(snapshot.connection, directory, share=1.0).problems
            problems = [problem for problem in found if problem.damage is not Damage.STRAY_FILE]
    except (RagstackError, OSError) as error:
        return f"error {str(error)!r}"
    except Exception:
        return f"unclear in verify {traceback.format_exc()[-700:]!r}"
    if problems:
        return f"verified {str(problems[0])!r}"
    return f"warned {warnings!r}" if warnings else ""


def _difference(found: dict[str, object], expected: dict[str, object]) -> str:
    for key in {**expected, **found}:
        if found.get(key) != expected.get(key):
            one, other = repr(found.get(key)), repr(expected.get(key))
            at = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
            return (
                f"{key}: ...{one[max(0, at - 60) : at + 80]} instead of ...{other[max(0, at - 60) : at + 80]}"
            )
    raise ViolationError("no difference")


# -------------------------------------------------------------------- the log


def _run_log(campaign: Campaign, rng: random.Random) -> None:
    """A damaged write-ahead log: what is left is the state after some commit."""
    template = campaign.folder("log")
    result_of(_fill, template, 3)
    states = campaign.folder("states")
    start(lambda say: _commit_into_log(template, states)).wait().require_done()
    log = f"{DATABASE_FILE}-wal"
    size = (states / "3" / log).stat().st_size
    expected = [result_of(_answers_of_copy, folder) for folder in sorted(states.iterdir())]
    require(size > 4_096, "the log is empty")
    cases = [
        _flip(log, rng.randrange(size), rng.randrange(8)) for _ in range(campaign.amount(quick=6, full=200))
    ]
    cases += _cuts(log, size, step=campaign.amount(quick=size // 3, full=512))
    _try_all(campaign, "damaged write-ahead log", states / "3", expected, cases)


def _answers_of_copy(folder: Path) -> dict[str, object]:
    """Whoever opens and closes a store empties its log."""
    copy = folder.with_name(f"{folder.name}-opened")
    shutil.copytree(folder, copy)
    found = answers(copy)
    shutil.rmtree(copy)
    return found


def _commit_into_log(template: Path, states: Path) -> None:
    """Copies of the store after each of some commits, the log not yet moved into the database."""
    with Store.open(template) as store, store.read() as snapshot:
        require(snapshot.documents(), "an open snapshot keeps the log from being emptied")
        shutil.copytree(template, states / "0")
        for number in (1, 2, 3):
            with reopen(template) as rag:
                rag.add_document(f"Logged text number {number} of amber and basin.", name=f"logged {number}")
            shutil.copytree(template, states / str(number))
