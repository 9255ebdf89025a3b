"""How much one document may ask of the machine that reads it; `config` says why the defaults are as they are.

Nothing is enforced here: `files` holds the size, the readers pages and expansion, `guard` time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragstack import config
from ragstack.errors import LoadingError

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may be and cost. All are upper bounds; a file beyond one is refused with its name."""

    file_bytes: int = config.DEFAULT_MAX_FILE_MIB * _MEBIBYTE
    """Of the file itself."""

    characters: int = 100_000_000
    """Of extracted text: what the largest file gives when it is all text."""

    elements: int = 1_200_000
    """Paragraphs, rows, lines of code and the like; a full sheet of Excel has 1,048,576 rows."""

    pages: int = config.DEFAULT_MAX_PAGES
    """Pages, slides, sheets, parts of a book or cells of a notebook."""

    expansion: int = config.DEFAULT_MAX_EXPANSION
    """Bytes that a byte of an archive may unpack to."""

    expanded_bytes: int = 512 * _MEBIBYTE
    """Of everything in an archive together: what its parser holds several times over."""

    seconds: float = config.DEFAULT_READ_SECONDS
    """Of wall clock for one file in the child process."""

    memory_bytes: int = config.DEFAULT_READ_MEMORY_MIB * _MEBIBYTE
    """Of the child process."""

    attachment_depth: int = 4
    """Messages in messages in messages: beyond this depth nobody reads them."""

    chunks: int = config.DEFAULT_MAX_CHUNKS
    """Of one document."""


DEFAULT_LIMITS = Limits()


def limits_of(settings: config.Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(
        file_bytes=settings.max_file_mib.value * _MEBIBYTE,
        pages=settings.max_pages.value,
        expansion=settings.max_expansion.value,
        seconds=settings.read_seconds.value,
        memory_bytes=settings.read_memory_mib.value * _MEBIBYTE,
        chunks=settings.max_chunks.value,
    )


def too_many(number: int, what: str, limits: Limits) -> LoadingError:
    """The refusal of a document with more `what` (`pages`) than `limits` allow."""
    return LoadingError(
        f"has {number:,} {what}, more than the limit of {limits.pages:,}",
        hint="if you trust the file, raise `max_pages` and read it again",
    )
