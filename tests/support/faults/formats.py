"""Files that nobody should trust: a folder of hostile kinds, and mutations of good files of every format.

What must hold: every mutated file gives a sound document or a reason of one line within the limits, the
process that asked neither dies nor grows, and of a hostile folder every entry has the fate that it should.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import psutil
from hostile_files import FAILED, READ, SKIPPED, Hostile, make_folder
from sample_files import SAMPLES

from faults.campaign import Campaign
from faults.children import require
from faults.mutations import mutated
from ragstack.errors import RagstackError
from ragstack.loading.files import read_bytes
from ragstack.loading.guard import GuardedReaders
from ragstack.loading.limits import Limits
from ragstack.loading.walk import discover
from ragstack.records import Document

MUTATIONS = 6_000
LIMITS = Limits(seconds=10, memory_bytes=512 * 2**20)
LEEWAY_SECONDS = 10
"""A busy machine may take that long to kill a child and to note it."""

GROWTH = 96 * 2**20
TOGETHER = 1_500_000_000
"""Bytes that all processes may hold in a folder of hostile files, as large as they were found in the wild."""


def run(campaign: Campaign) -> None:
    """The folder, then mutations of every sample."""
    hostile_folder(campaign, large=not campaign.quick)
    fuzz(campaign, campaign.amount(quick=len(SAMPLES) * 5, full=MUTATIONS))


def fuzz(campaign: Campaign, count: int) -> None:
    """Read `count` mutated files, those of all formats in turn."""
    originals = {**{name: make() for name, make in SAMPLES.items()}, "tables.pdf": _pdf()}
    names = sorted(originals)
    process = psutil.Process()
    with GuardedReaders(LIMITS) as reading:
        before = 0
        for number in range(count):
            name = names[number % len(names)]
            data = mutated(originals[name], campaign.random("formats", number))
            with campaign.trial(f"mutated {name.rpartition('.')[2]}", number):
                _read(reading, data, name)
            if number == min(count // 4, 500):
                before = process.memory_info().rss
        with campaign.trial("memory after mutations"):
            grown = process.memory_info().rss - before
            require(grown < GROWTH, f"grew by {grown / 2**20:.0f} MiB over {count} files")


def _read(reading: GuardedReaders, data: bytes, name: str) -> None:
    started = time.monotonic()
    try:
        document = reading.extract(data, name)
    except RagstackError as error:
        require("\n" not in error.message, f"a reason of several lines: {error.message!r}")
    except Exception as error:
        require(False, f"{name}: {type(error).__name__}: {error}")
    else:
        _sound(document)
    took = time.monotonic() - started
    require(took < LIMITS.seconds + LEEWAY_SECONDS, f"{name}: took {took:.1f} s")


def _sound(document: Document) -> None:
    """What is promised of every document."""
    text = document.text
    require("\0" not in text and "\r" not in text, "a NUL or a carriage return")
    text.encode()  # fails on a lone surrogate
    end = 0
    for element in document.elements:
        require(end <= element.start < element.end <= len(text), f"elements overlap at {element.start}")
        end = element.end
    starts = [mark.start for mark in document.landmarks]
    require(starts == sorted(set(starts)), "landmarks out of order")
    require(all(0 <= start < len(text) for start in starts), "a landmark outside of the text")


def hostile_folder(campaign: Campaign, *, large: bool) -> None:
    """Read a folder of everything hostile, and look at what became of each entry."""
    root = campaign.folder("hostile")
    made = make_folder(root, large=large)
    fates, peak = _fates(root, Limits() if large else LIMITS)
    for kind in made:
        if kind.path != "deep":
            with campaign.trial("hostile file", kind.reported):
                _judge(kind, fates)
    with campaign.trial("memory in the hostile folder"):
        require(peak < TOGETHER, f"{peak / 1e6:,.0f} MB in all processes")
    campaign.row("memory in the hostile folder").note = f"peak {peak / 1e6:,.0f} MB in all processes"


def _judge(kind: Hostile, fates: dict[str, tuple[str, str]]) -> None:
    require(kind.reported in fates, "not accounted for")
    outcome, reason = fates[kind.reported]
    require(kind.accepts(outcome, reason), f"{outcome}: {reason}")


def _fates(root: Path, limits: Limits) -> tuple[dict[str, tuple[str, str]], int]:
    """What becomes of every entry and why, and the most bytes that all processes held together."""
    found = discover(root)
    fates = {skipped.path.rstrip("/"): (SKIPPED, skipped.reason) for skipped in found.skipped}
    fates |= {failed.path: (FAILED, failed.reason) for failed in found.failed}
    with GuardedReaders(limits) as reading, _PeakMemory() as memory:
        for file in found.files:
            try:
                content = read_bytes(file.absolute, max_bytes=limits.file_bytes, beneath=file.root)
                document = reading.extract(content.data, file.path)
                fates[file.path] = (READ, str(zlib.crc32(document.text.encode())))
            except RagstackError as error:
                fates[file.path] = (FAILED, error.message)
    return fates, memory.peak


class _PeakMemory:
    """Samples what this process and its children hold, in a thread, while it is open."""

    def __init__(self) -> None:
        import threading

        self.peak = 0
        self._process = psutil.Process()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(0.02):
            held = 0
            for process in (self._process, *self._process.children(recursive=True)):
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, held)


def _pdf() -> bytes:
    """A PDF of two pages with an outline and a packed page."""
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F1 7 0 R>>>>>>"
    )
    plain = b"BT /F1 18 Tf 72 700 Td (Tides) Tj 0 -30 Td /F1 11 Tf (High water is at noon.) Tj ET"
    packed = zlib.compress(b"BT /F1 11 Tf 72 700 Td (Low water) Tj 100 0 Td (at six) Tj ET")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/Outlines 8 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>",
        page % 5,
        page % 6,
        b"<</Length %d>>stream\n%s\nendstream" % (len(plain), plain),
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/Outlines/First 9 0 R/Last 9 0 R/Count 1>>",
        b"<</Title(Tides)/Parent 8 0 R/Dest[3 0 R/Fit]>>",
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, each) for n, each in enumerate(objects, start=1))
    return b"%PDF-1.7\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF\n"
