r"""Decodes the stream of server-sent events in which chat servers send an answer.

Works on bytes, because the events end at `\n`, `\r\n` or `\r` only, whereas a decoded line may end at
U+2028 inside a JSON string. What the events mean is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ragstack.errors import GenerationError

LONGEST_LINE = 2**20
"""Bytes of one line; a token with its probabilities needs some hundreds, a hostile server would send more."""


def event_data(chunks: Iterable[bytes]) -> Iterator[str | None]:
    """The data of each event, as text; None for a comment, by which a server says that it is still there.

    Raises GenerationError for a line without end and for bytes that are not UTF-8.
    """
    data: list[str] = []
    for line in _lines(chunks):
        if line.startswith(b":"):
            yield None
        elif line.startswith(b"data:"):
            data.append(_decoded(line[5:].removeprefix(b" ")))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending = b""
    for chunk in chunks:
        pending += chunk
        # A carriage return at the end may be half of a line break.
        whole, held = (pending[:-1], pending[-1:]) if pending.endswith(b"\r") else (pending, b"")
        *lines, rest = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        pending = rest + held
        yield from lines
        if len(pending) > LONGEST_LINE:
            raise GenerationError(
                f"the server sent a line of more than {LONGEST_LINE:,} bytes",
                hint="check that the address is that of a chat server",
            )
    if pending:
        yield pending.rstrip(b"\r")


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise GenerationError(
            "the server sent bytes that are not UTF-8", hint="check that the address is that of a chat server"
        ) from error
