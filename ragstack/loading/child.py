"""The process that parses files which nobody vouches for: reads a request, sends a document or a reason.

It is given bytes and opens no document itself. Where the system has resource limits (POSIX) it takes them on
before the first request: memory, processor time for each file, no files of its own, no core dumps. What it
cannot limit itself the parent watches (`guard`).
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from math import ceil
from pathlib import Path
from typing import BinaryIO

from ragstack.errors import RagstackError
from ragstack.loading import wire
from ragstack.loading.limits import Limits
from ragstack.loading.readers import extract

_LIBRARIES = 512 * 1024 * 1024
"""Address space that parsers' libraries take when they are loaded; hardly any of it is ever used."""

_SPARE_SECONDS = 5

_GARBAGE_EVERY = 100_000
"""Objects until Python looks for garbage (700 by default): what a parser makes lives to the end of the file,
and looking it through again and again took half of the time (Markdown: 2.9 MB/s of processor time, now 5.5).
"""


def main() -> None:
    """Answer requests on stdin until it ends."""
    requests, answers = _streams()
    gc.set_threshold(_GARBAGE_EVERY, 50, 50)
    while (frame := wire.read_frame(requests)) is not None:
        header, data = frame
        limits = wire.limits_of(header)
        _limit(limits)
        try:
            wire.write_frame(answers, *wire.answer(extract(data, header["name"], limits)))
        except RagstackError as error:
            wire.write_frame(answers, wire.refusal(error), b"")


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and what was stdout: libraries that print must not print into the answers."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.close(silence)
    sys.stdout = sys.stderr
    return sys.stdin.buffer, answers


def _limit(limits: Limits) -> None:
    """Bound what the next file may take; the processor time counts from here."""
    try:
        import resource
    except ImportError:  # Windows: the parent's watch is the only limit
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ceil(usage.ru_utime + usage.ru_stime + limits.seconds) + _SPARE_SECONDS
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, _address_space() + limits.memory_bytes)


def _lower(kind: int, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


_base: list[int] = []


def _address_space() -> int:
    """Bytes of address space of this process before its first file, and what libraries will add."""
    if not _base:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _base.append(pages * os.sysconf("SC_PAGE_SIZE") + _LIBRARIES)
    return _base[0]
