"""Tells files of another format by their first bytes, so that a mislabelled file is refused by its name."""

from __future__ import annotations

from ragstack.errors import LoadingError

_SIGNATURES = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
)


def recognise(head: bytes) -> str | None:
    """What a file that begins with `head` is (`a PNG image`), or None when no signature fits."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    return None


def refuse_other_formats(data: bytes, expected: str = "text") -> None:
    """Raise LoadingError when the bytes are those of another format than the `expected` one."""
    other = recognise(data)
    if other is not None:
        raise LoadingError(
            f"looks like {other}, not {expected}", hint="give the file the ending of its real format"
        )
