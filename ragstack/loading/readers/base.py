"""What a reader is: a format's name, version and file name endings, and the function that extracts its text.

A reader is data with pure functions from bytes to a `Document`, so that it can run in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ragstack.records import Document


@dataclass(frozen=True, slots=True)
class Reader:
    """Extracts the text of one format.

    `version` rises whenever the same bytes would give another document, which makes the next ingest read
    unchanged files again. `suffixes` are lower case with their dot. `extract(data, name)` raises LoadingError
    with a one-line reason and nothing else; `name` is the file's name. `parse` takes clean text in the place
    of bytes; it is None for formats that are not text, whose files may hold NUL bytes.
    """

    name: str
    version: int
    suffixes: tuple[str, ...]
    media_type: str
    extract: Callable[[bytes, str], Document]
    parse: Callable[[str], Document] | None = None

    @property
    def is_text(self) -> bool:
        """Whether files of the format are text."""
        return self.parse is not None
