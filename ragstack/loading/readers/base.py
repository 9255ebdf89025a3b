"""What a reader is: a format's name, version and file name endings, and the function that extracts its text.

A reader is data with pure functions from bytes to a `Document`, so that it can run in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ragstack.loading.limits import Limits
from ragstack.records import Document

OWN_CODE_BYTES = 4 * 1024 * 1024
"""Up to this size our own readers need no guard: time and memory are linear by construction, though a file of
nothing but line ends becomes 50 times its size in elements."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Extracts the text of one format.

    `version` rises whenever the same bytes would give another document, which makes the next ingest read
    unchanged files again. `suffixes` are lower case with their dot. `extract(data, name, limits)` raises
    LoadingError with a one-line reason and nothing else; `name` is the file's name. `parse` takes clean text
    in the place of bytes; it is None for formats that are not text, whose files may hold NUL bytes.

    `unguarded_bytes` is the size up to which a file is read without the guard of a child process: 0 where a
    library parses.
    """

    name: str
    version: int
    suffixes: tuple[str, ...]
    media_type: str
    extract: Callable[[bytes, str, Limits], Document]
    parse: Callable[[str], Document] | None = None
    unguarded_bytes: int = 0

    @property
    def is_text(self) -> bool:
        """Whether files of the format are text."""
        return self.parse is not None

    def needs_guard(self, size: int) -> bool:
        """Whether a file of `size` bytes is to be read in a child process."""
        return size > self.unguarded_bytes
