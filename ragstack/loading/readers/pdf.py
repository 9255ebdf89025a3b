"""Reads PDF documents with pdfium: text page by page, structure by layout, title and dates from the metadata.

A page is named by its number from 1, which every viewer understands, not by a printed label. Nothing is
recognised in images: a document without text is refused, and pages without text are named in the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby, islice
from threading import Lock
from typing import Any

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.pdf_layout import heading_key, rebuild
from ragstack.loading.readers.pdf_lines import Line, page_lines
from ragstack.loading.readers.pdf_running_heads import without_running_heads
from ragstack.loading.readers.pdf_text import PdfText, write
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD in fpdfview.h
_SECURITY_ERROR = 5  # FPDF_ERR_SECURITY

_FIELDS = {"Author": "author", "Subject": "subject", "Keywords": "keywords"}
_DATES = {"CreationDate": "created", "ModDate": "modified"}
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?(Z|[+-]\d\d'?\d\d)?")
_MAX_METADATA = 500
_HEADER_BYTES = 1024
_MAX_OUTLINE = 5_000
_MAX_LEVEL = 6
# What programs write when nobody told them the author or the title.
_PLACEHOLDER = re.compile(r"\W*(?:anonymous|unspecified|untitled|unknown|user|none)?\W*", re.IGNORECASE)
_FILE_NAME = re.compile(r".*\.(?:docx?|pdf|tex|dvi|indd|qxd|xlsx?|pptx?|rtf|odt)", re.IGNORECASE)
_PROGRAM_PREFIX = re.compile(r"Microsoft (?:Word|PowerPoint|Excel) - ")

# pdfium keeps global state without a lock of its own.
_ONE_AT_A_TIME = Lock()


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of a PDF file."""
    if not data.strip():
        raise LoadingError("the file is empty")
    if b"%PDF-" not in data[:_HEADER_BYTES]:
        refuse_other_formats(data, "a PDF document")
        raise LoadingError("not a PDF document, though its name says so")
    with _ONE_AT_A_TIME, closing(_open(data)) as pdf:
        return _document(pdf, limits)


def _open(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise _reason(error) from error


def _reason(error: Exception) -> LoadingError:
    code = getattr(error, "err_code", None)
    if code == _PASSWORD_ERROR:
        return LoadingError("password-protected", hint="save a copy without the password")
    if code == _SECURITY_ERROR:
        return LoadingError("encrypted in a way that cannot be read", hint="save a copy without encryption")
    return LoadingError("damaged, or not a PDF document")


def _document(pdf: Any, limits: Limits) -> Document:
    pages = len(pdf)
    if pages > limits.pages:
        raise too_many(pages, "pages", limits)
    by_page = [_lines(pdf, number) for number in range(pages)]
    without_text = [number for number, lines in enumerate(by_page, start=1) if not lines]
    lines = list(without_running_heads([line for lines in by_page for line in lines], pages))
    written = write(rebuild(lines, _outline(pdf)))
    if not written.text:
        raise LoadingError(
            "no text found: scanned pages need OCR", hint="run an OCR program over it and ingest the result"
        )
    metadata = _metadata(pdf) | {"pages": str(pages)}
    if without_text:
        metadata["pages_without_text"] = _ranges(without_text)[:_MAX_METADATA]
    title = metadata.pop("title", None) or _first_heading(written)
    return Document(
        text=written.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=title,
        elements=written.elements,
        landmarks=written.landmarks,
        metadata=metadata,
    )


def _lines(pdf: Any, number: int) -> list[Line]:
    """The lines of a page, counted from 0; none when the page itself is damaged."""
    import pypdfium2

    try:
        with closing(pdf[number]) as page, closing(page.get_textpage()) as text_page:
            return list(page_lines(text_page, number))
    except pypdfium2.PdfiumError:
        return []  # it counts as a page without text, which the metadata names


def _outline(pdf: Any) -> dict[tuple[int, str], int]:
    """The level, from 1, of each entry of the document's outline, by page and title."""
    levels: dict[tuple[int, str], int] = {}
    for bookmark in islice(pdf.get_toc(max_depth=_MAX_LEVEL), _MAX_OUTLINE):
        destination = bookmark.get_dest()
        page = destination.get_index() if destination is not None else None
        key = heading_key(bookmark.get_title())
        if page is not None and key:
            levels.setdefault((page, key), bookmark.level + 1)
    return levels


def _first_heading(written: PdfText) -> str | None:
    """The highest heading of the first page that has text."""
    end = written.landmarks[1].start if len(written.landmarks) > 1 else len(written.text)
    headings = [element for element in written.elements if element.level and element.start < end]
    return min(headings, key=lambda element: element.level).title if headings else None


def _metadata(pdf: Any) -> dict[str, str]:
    raw = {key: clean(value).strip() for key, value in pdf.get_metadata_dict().items()}
    title = _PROGRAM_PREFIX.sub("", raw.get("Title", ""))
    metadata = {name: raw.get(field, "") for field, name in _FIELDS.items()}
    if not _FILE_NAME.fullmatch(title):
        metadata["title"] = title
    for field, name in _DATES.items():
        metadata[name] = _iso_date(raw.get(field, ""))
    return {
        name: " ".join(value.split())[:_MAX_METADATA]
        for name, value in metadata.items()
        if not _PLACEHOLDER.fullmatch(value)
    }


def _iso_date(value: str) -> str:
    """`D:20240131120000+01'00'` (ISO 32000-1, 7.9.4) as `2024-01-31T12:00:00+01:00`; "" if it is no date."""
    match = _DATE.match(value)
    if match is None:
        return ""
    year, month, day, hour, minute, second, zone = match.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        return date
    offset = "" if zone is None else "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[-2:]}"
    return f"{date}T{hour}:{minute}:{second or '00'}{offset}"


def _ranges(numbers: Sequence[int]) -> str:
    """`1, 4-6` for 1, 4, 5, 6."""
    parts: list[str] = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(parts)


READER = Reader(
    name="pdf",
    version=1,
    suffixes=(".pdf",),
    media_type="application/pdf",
    extract=extract,
)
