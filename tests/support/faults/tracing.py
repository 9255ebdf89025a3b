"""strace, attached to a child that waits: what it is there for, and whether it is there."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faults.children import Child, Say, start

WRITING = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate", "mkdir", "rmdir",
)  # fmt: skip
"""The system calls by which a store changes anything."""


def why_not() -> str:
    """Why nothing can be traced here, or an empty string."""
    if shutil.which("strace") is None:
        return "no strace"
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"strace may not trace: {tried.stderr.strip()[:80]}"


@contextmanager
def traced(work: Callable[[Say], None], log: Path, *options: str) -> Iterator[Child]:
    """A child that does `work` under strace with these options; it has been released."""
    child = start(lambda say: _be_traced(work, say), held=True)
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", str(log), *options, "-p", str(child.pid)],
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    _wait_for_tracer(child.pid, tracer)
    child.release()
    try:
        yield child
    finally:
        with suppress(subprocess.TimeoutExpired):
            tracer.wait(30)
        tracer.kill()
        tracer.wait()


def _be_traced(work: Callable[[Say], None], say: Say) -> None:
    say("TRACED")
    work(say)


def _wait_for_tracer(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and tracer.poll() is None:
        status = Path(f"/proc/{pid}/status").read_text()
        if "TracerPid:\t0\n" not in status:
            return
        time.sleep(0.002)
    raise RuntimeError("strace could not be attached")
