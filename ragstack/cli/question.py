"""Where the question comes from: the arguments, standard input, or both."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from ragstack.cli import console

# A program at the other end of a pipe has this long to begin; a pipe that nobody writes to (of a scheduler,
# of a build server) must not hold up a question that is complete without it.
PATIENCE_SECONDS = 3.0


def read_question(words: Sequence[str]) -> str:
    """The words of the question; piped text follows them, and alone or with `-` it is the question.

    Raises `click.UsageError` when there is no question at all.
    """
    given = joined_words(words).strip()
    if words and not given:
        raise click.UsageError("The question is empty.")
    if given in ("", "-"):
        if not given and sys.stdin.isatty():
            raise click.UsageError("Missing argument 'QUESTION'.")
        question = _everything(sys.stdin)
        if not question:
            raise click.UsageError("There is no question on standard input.")
        return question
    return "\n\n".join(filter(None, [given, _piped_text()]))


def joined_words(words: Sequence[str]) -> str:
    """The arguments as one text; what the locale could not decode is read as UTF-8, as terminals send it."""
    return as_typed(" ".join(words))


def as_typed(text: str) -> str:
    """The text with the bytes that the locale could not decode read as UTF-8, U+FFFD where they are none."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:  # Windows hands on halves of pairs; `readable_question` replaces them
        return text


def _piped_text() -> str:
    """What was piped to a command that has its question already; nothing when nothing is."""
    if not _brings_text(sys.stdin):
        return ""
    if not _begins_soon(sys.stdin):
        console.note(f"nothing came on standard input within {PATIENCE_SECONDS:.0f} s, going on without it")
        return ""
    return _everything(sys.stdin)


def _brings_text(stream: TextIO) -> bool:
    """Whether a stream is a pipe or socket, or a file that nobody has begun to read.

    In `while read q; do ragstack ask "$q"; done < questions` the file belongs to the loop, which has begun.
    """
    try:
        descriptor = stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return not stream.isatty()
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _begins_soon(stream: TextIO) -> bool:
    """Whether text, or the end of it, is there to be read."""
    if sys.platform == "win32":  # where select() takes sockets only
        return True
    import select

    try:
        return bool(select.select([stream], [], [], PATIENCE_SECONDS)[0])
    except (io.UnsupportedOperation, ValueError):
        return True


def _everything(stream: TextIO) -> str:
    data = stream.buffer.read()
    return data.decode(stream.encoding or "utf-8", errors="replace").removeprefix("\ufeff").strip()
