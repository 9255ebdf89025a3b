"""Child processes that may be killed: forked from a parent that has imported everything and used nothing.

FAISS's threads and SQLite's locks do not survive a fork, so the parent never opens a store: even the checks
run in children. A fork takes milliseconds where a new interpreter takes seconds.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]


class ViolationError(Exception):
    """A store is not what it must be, or a child did not end as it must."""


def require(condition: object, message: str) -> None:
    """ViolationError with `message` unless `condition`."""
    if not condition:
        raise ViolationError(message)


@dataclass(slots=True)
class Ending:
    """How a child ended: its exit code (minus the signal if it was killed), and what it said."""

    code: int
    lines: list[str]
    timed_out: bool = False

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    def said(self, word: str) -> list[str]:
        """The rests of the lines that begin with `word`."""
        return [line.removeprefix(f"{word} ") for line in self.lines if line.startswith(f"{word} ")]

    def require_done(self) -> None:
        """ViolationError unless the child ended by itself and well."""
        told = "\n".join(self.lines[-30:])
        require(not self.timed_out, f"hung\n{told}")
        require(self.code == 0, f"ended with {self.code}\n{told}")


@dataclass(slots=True)
class Child:
    """A running child and the pipe through which it speaks."""

    pid: int
    pipe: int
    go: int
    _said: bytearray = field(default_factory=bytearray)

    def release(self) -> None:
        """Let a child that was started with `held` begin."""
        os.write(self.go, b"x")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def listen(self, seconds: float) -> Iterator[str]:
        """What the child says, line by line, for so long or until it ends."""
        until, at = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.pipe], [], [], left)[0]:
                return
            data = os.read(self.pipe, 65_536)
            if not data:
                return
            self._said += data
            while (end := self._said.find(b"\n", at)) >= 0:
                yield self._said[at:end].decode(errors="replace")
                at = end + 1

    def wait(self, seconds: float = 60.0) -> Ending:
        """Wait for the child's end; one that takes longer is killed and counts as hanging."""
        for _ in self.listen(seconds):
            pass
        deadline, timed_out = time.monotonic() + 5, False
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                timed_out = True
                self.kill()
            time.sleep(0.0005)
        os.close(self.pipe)
        os.close(self.go)
        lines = self._said.decode(errors="replace").splitlines()
        return Ending(os.waitstatus_to_exitcode(status), lines, timed_out)


def start(work: Callable[[Say], None], *, held: bool = False) -> Child:
    """Fork a child that does `work`; what it passes to `Say` reaches the parent even if it is killed next.

    A `held` child waits for `Child.release`, so that a tracer can be attached to it first.
    """
    reading, writing = os.pipe()
    waiting, go = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        os.close(waiting)
        return Child(pid, reading, go)
    os.close(reading)
    os.close(go)
    code = 1
    try:
        faulthandler.enable(os.fdopen(os.dup(writing), "w"))
        if held:
            os.read(waiting, 1)
        work(lambda line: os.write(writing, f"{line}\n".encode(errors="replace")) and None)
        code = 0
    except BaseException:  # whatever it is, the parent must hear of it
        os.write(writing, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)


def result_of(function: Callable[..., Any], *arguments: Any, seconds: float = 120.0) -> Any:
    """What `function` returns in a child (JSON can carry it); ViolationError if it raises, dies, hangs."""

    def work(say: Say) -> None:
        say(f"RESULT {json.dumps(function(*arguments))}")

    ending = start(work).wait(seconds)
    ending.require_done()
    return json.loads(ending.said("RESULT")[0])
