"""Reads files through a child process that may hang, run out of memory or crash without any harm.

The child is started with the first file that needs it, serves many, and is killed and replaced when one of
them passes the limits. Readers whose work is linear by construction run here, in the process itself. What the
child does is in `child`; how they talk, in `wire`.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ragstack.errors import LoadingError
from ragstack.loading import readers, wire
from ragstack.loading.limits import DEFAULT_LIMITS, Limits
from ragstack.records import Document

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from ragstack.loading.child import main; main()"
)
_LOOK_EVERY_SECONDS = 0.05
_TIRED = 0.5
"""A child that holds this share of its memory after a file is replaced: the next file gets all of it."""

_Answer = tuple[dict[str, Any], bytes] | None


@dataclass(slots=True)
class GuardedReaders:
    """Turns bytes into documents within `limits`, whatever they are. A context manager; for one thread."""

    limits: Limits = DEFAULT_LIMITS
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            _end(self._child)
            self._child = None

    def extract(self, data: bytes, name: str) -> Document:
        """The document in the bytes of a file of this name.

        Raises LoadingError with a one-line reason: the reader's own, or that the file took more time or
        memory than `limits` allow, or that its parser crashed. MissingExtraError when a library is missing.
        """
        reader = readers.reader_for(name)
        if not reader.needs_guard(len(data)):
            return readers.extract(data, name, self.limits)
        answer = self._ask(data, name)
        return wire.document_of(*answer)

    def _ask(self, data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
        child = self._running()
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        arguments = (child, wire.request(name, self.limits), data, answers)
        threading.Thread(target=_exchange, args=arguments, daemon=True).start()
        try:
            answer = self._wait(child, answers)
        except BaseException:  # an interrupt too: the child is in the middle of something
            self.close()
            raise
        if answer is None:
            raise self._crash(child)
        if _resident(child) > _TIRED * self.limits.memory_bytes:
            self.close()
        return answer

    def _wait(self, child: subprocess.Popen[bytes], answers: queue.SimpleQueue[_Answer]) -> _Answer:
        deadline = time.monotonic() + self.limits.seconds
        while True:
            try:
                return answers.get(timeout=_LOOK_EVERY_SECONDS)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise _too_slow(self.limits) from None
                if _resident(child) > self.limits.memory_bytes:
                    raise _too_large(self.limits) from None

    def _crash(self, child: subprocess.Popen[bytes]) -> LoadingError:
        """Why the child went away without an answer."""
        self._child = None
        _end(child)
        if child.returncode is not None and child.returncode < 0:
            return LoadingError(
                f"its parser crashed (signal {-child.returncode}); the file is damaged or hostile"
            )
        return LoadingError("its parser gave up without a reason; the file is damaged or hostile")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            self._child = _start()
        return self._child


def _start() -> subprocess.Popen[bytes]:
    path = [entry or str(Path.cwd()) for entry in sys.path]
    try:
        return subprocess.Popen(
            [sys.executable, "-X", "utf8", "-I", "-c", _BOOT, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the ingest, which ends its child itself
        )
    except OSError as error:
        raise LoadingError(f"cannot start the process that parses files: {error.strerror}") from error


def _exchange(
    child: subprocess.Popen[bytes],
    header: dict[str, Any],
    data: bytes,
    answers: queue.SimpleQueue[_Answer],
) -> None:
    """Send a request and wait for its answer; None when the child is gone. Runs in a thread of its own."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        wire.write_frame(child.stdin, header, data)
        answers.put(wire.read_frame(child.stdout))
    except (OSError, TypeError, ValueError):  # a broken pipe, or a frame of nonsense
        answers.put(None)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was not yet sent cannot be flushed to a dead process
                continue


def _resident(child: subprocess.Popen[bytes]) -> int:
    """Bytes of memory that the child holds; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _too_slow(limits: Limits) -> LoadingError:
    return LoadingError(
        f"took longer than the limit of {limits.seconds:g} s to read",
        hint="if you trust the file, raise `read_seconds` and ingest it again with `--checksum`",
    )


def _too_large(limits: Limits) -> LoadingError:
    return LoadingError(
        f"took more than the limit of {limits.memory_bytes / 2**20:,.0f} MiB of memory to read",
        hint="if you trust the file, raise `read_memory_mib` and ingest it again with `--checksum`",
    )
