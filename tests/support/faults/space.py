"""A full disk: file sizes limited at fine steps while segment and database grow, and tiny file systems."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
from pathlib import Path

from faults import library
from faults.campaign import Campaign
from faults.children import Say, require, result_of, start
from faults.library import create, reopen
from faults.oracle import check
from ragstack.config import DATABASE_FILE
from ragstack.errors import RagstackError
from ragstack.store import failpoints, segments
from ragstack.store.index import INDEX_DIRECTORY

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC_PRIVATE = 0x4000 | 0x40000


def run(campaign: Campaign) -> None:
    """Segment writes, database growth, small file systems."""
    template = campaign.folder("template")
    texts = result_of(_fill, template, 12)
    size = result_of(_segment_size, template)
    steps = [1, 64, 512] if campaign.quick else [1, 2, 3, *range(8, size, round(64 / campaign.share))]
    for missing in steps:
        with campaign.trial("full disk during a segment write", f"{missing} bytes short"):
            _try(campaign, template, texts, _limited_segment, max(0, size - missing))
    for room in _rooms(campaign):
        with campaign.trial("full disk during database growth", f"{room} bytes of room"):
            _try(campaign, template, texts, _limited_database, room)
    _run_tiny_file_systems(campaign, template, texts)


def _rooms(campaign: Campaign) -> list[int]:
    return [0, 5_000] if campaign.quick else [*range(0, 60_000, round(1_000 / campaign.share))]


def _fill(directory: Path, count: int) -> dict[str, str]:
    import random

    rng, texts = random.Random(5), {}
    with create(directory) as rag:
        for number in range(count):
            texts[f"text {number}"] = library.some_text(rng, 6).strip()
            rag.add_document(texts[f"text {number}"], name=f"text {number}")
    return texts


def _segment_size(template: Path) -> int:
    """Bytes of the file that rewriting everything makes."""
    copy = template.with_name("measure")
    shutil.copytree(template, copy)
    _rewrite(copy)
    [size] = [path.stat().st_size for path in (copy / INDEX_DIRECTORY).iterdir()]
    shutil.rmtree(copy)
    return size


def _rewrite(directory: Path) -> None:
    with reopen(directory) as rag, rag.store.write() as writer:
        segments.rewrite_all(writer.engine, directory, writer.generation().id)
        segments.remove_retired(writer.engine, directory)


def _try(campaign: Campaign, template: Path, texts: dict[str, str], work, size: int) -> None:
    """One limit in one copy; the work says how it failed, and the store is as before and usable."""
    copy = campaign.folder("space")
    shutil.rmtree(copy)
    shutil.copytree(template, copy)
    ending = start(lambda say: work(copy, size, say)).wait()
    ending.require_done()
    names = ending.said("ACK")
    after = {name: (text,) for name, text in texts.items()} | dict.fromkeys(names, (NEW_TEXT,))
    if "new" not in names:
        after["new"] = (None, NEW_TEXT)  # whole or not at all
    result_of(check, copy, after)
    shutil.rmtree(copy)


NEW_TEXT = "A new text about " + "harbors and lanterns and quays " * 200 + "ends."


def _limit(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _limited_segment(directory: Path, size: int, say: Say) -> None:
    """The limit holds just while the file of a segment is written."""

    def callback(step: str) -> None:
        if step == "file created":
            _limit(size)

    with reopen(directory) as rag, rag.store.write() as writer:
        failpoints.arm(callback)
        try:
            segments.rewrite_all(writer.engine, directory, writer.generation().id)
        except OSError as error:
            say(f"FAILED {error}")
        else:
            raise AssertionError("the full disk went unnoticed")
        finally:
            failpoints.arm(None)
            _limit(resource.RLIM_INFINITY)
        segments.rewrite_all(writer.engine, directory, writer.generation().id)


def _limited_database(directory: Path, room: int, say: Say) -> None:
    """No file may grow beyond the database's present size and some room."""
    with reopen(directory) as rag:
        held = (directory / DATABASE_FILE).stat().st_size
        _limit(min(held, 4_096) + room)
        _add(rag, say)
        _limit(resource.RLIM_INFINITY)
        rag.add_document(NEW_TEXT, name="later")
        say("ACK later")


def _add(rag, say: Say) -> None:
    try:
        rag.add_document(NEW_TEXT, name="new")
    except (RagstackError, OSError) as error:
        require(str(error), "an error without a message")
        say(f"FAILED {error}")
        return
    say("ACK new")


# ---------------------------------------------------------------- tiny file systems


def _run_tiny_file_systems(campaign: Campaign, template: Path, texts: dict[str, str]) -> None:
    first = campaign.folder("mount")
    ending = start(lambda say: _mount(first, 1 << 20)).wait()
    if ending.code:
        campaign.skip("full file system", "no private mounts here")
        return
    used = sum(path.stat().st_size for path in template.rglob("*") if path.is_file())
    for step in range(campaign.amount(quick=1, full=24)):
        with campaign.trial("full file system", f"step {step}"):
            place = campaign.folder("mount")
            size = used + 40_000 + step * 12_288
            start(lambda say, p=place, s=size: _fill_up(template, p, s, texts, say)).wait().require_done()


def _mount(place: Path, size: int) -> None:
    """Mount a tmpfs of `size` bytes that only this process sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)
    if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), "mount")


def _fill_up(template: Path, place: Path, size: int, texts: dict[str, str], say: Say) -> None:
    """Add documents until the file system is full; everything acknowledged is there, before and after."""
    _mount(place, size)
    directory = place / "store"
    shutil.copytree(template, directory)
    allowed = {name: (text,) for name, text in texts.items()}
    failed = 0
    ballast = place / "ballast"
    ballast.write_bytes(b"x" * 24_576)
    for number in range(200):
        name = f"more {number}"
        try:
            with reopen(directory) as rag:
                rag.add_document(NEW_TEXT, name=name)
            allowed[name] = (NEW_TEXT,)
        except (RagstackError, OSError) as error:
            require(str(error), "an error without a message")
            failed += 1
            allowed[name] = (None, NEW_TEXT)
            if failed == 3:
                break
    require(failed == 3, "the file system never became full")
    ballast.unlink()
    more = size + (4 << 20)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 32, f"size={more}".encode())  # 32: MS_REMOUNT
    check(directory, allowed)
