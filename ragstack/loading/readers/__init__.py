"""The readers by file name: `reader_for` finds one, `extract` runs it, `document_of` takes text as it is.

A new format is a module with a `READER` and a line here. Readers load their libraries when they run, not when
they are imported. Whatever a library raises on a bad file leaves here as a LoadingError.
"""

from __future__ import annotations

from collections.abc import Callable

from ragstack.errors import LoadingError, RagstackError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import DEFAULT_LIMITS, Limits
from ragstack.loading.readers import (
    docx,
    epub,
    feed,
    html,
    json_text,
    latex,
    mail,
    markdown,
    notebook,
    opendocument,
    outlook,
    pdf,
    pptx,
    restructured,
    rtf,
    source_code,
    spreadsheet,
    subtitles,
    table,
    text,
)
from ragstack.loading.readers.base import Reader
from ragstack.records import Document

READERS: tuple[Reader, ...] = (
    text.READER,
    markdown.READER,
    restructured.READER,
    latex.READER,
    html.READER,
    pdf.READER,
    docx.READER,
    pptx.READER,
    spreadsheet.READER,
    table.READER,
    opendocument.READER,
    rtf.READER,
    epub.READER,
    feed.READER,
    mail.READER,
    outlook.READER,
    notebook.READER,
    json_text.READER,
    subtitles.READER,
    source_code.READER,
)

_BY_SUFFIX = {suffix: reader for reader in READERS for suffix in reader.suffixes}


def find_reader(name: str) -> Reader | None:
    """The reader for a file of this name, by its ending; None when there is none."""
    return _BY_SUFFIX.get(_suffix(name))


def reader_for(name: str) -> Reader:
    """The reader for a file of this name; raises LoadingError when no reader takes its ending."""
    reader = find_reader(name)
    if reader is None:
        documents = sorted(set(_BY_SUFFIX) - set(source_code.READER.suffixes))
        raise LoadingError(
            unsupported_reason(name), hint=f"ragstack reads {', '.join(documents)} files and source code"
        )
    return reader


def unsupported_reason(name: str) -> str:
    """Why no reader takes a file of this name."""
    suffix = _suffix(name)
    return f"no reader for {ascii(suffix)[1:-1]} files" if suffix else "no reader for files without an ending"


def extract(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> Document:
    """The document in the bytes of a file of this name; raises LoadingError with a one-line reason.

    MissingExtraError says that the format's library is not installed. Nothing here limits time and memory:
    files that nobody vouches for are read through `guard`.
    """
    reader = reader_for(name)
    document = _guarded(reader, lambda: reader.extract(data, name, limits))
    if len(document.text) > limits.characters:
        raise LoadingError(
            f"has {len(document.text):,} characters of text, more than the limit of {limits.characters:,}",
            hint="split the file",
        )
    if len(document.elements) > limits.elements:
        raise LoadingError(
            f"has {len(document.elements):,} paragraphs or rows, more than the limit of {limits.elements:,}",
            hint="split the file",
        )
    if not (reader.is_text or document.text.strip()):
        raise LoadingError("no text found")
    return document


def document_of(content: str, name: str = "") -> Document:
    """The document of text that was never a file, read as `name` suggests, or else as plain text."""
    reader = find_reader(name)
    parse = text.parse if reader is None or reader.parse is None else reader.parse
    return _guarded(reader or text.READER, lambda: parse(clean(content)))


def _guarded(reader: Reader, read: Callable[[], Document]) -> Document:
    """What `read` returns; what a library raises becomes a LoadingError that names the reader."""
    try:
        return read()
    except RagstackError:
        raise
    except RecursionError as error:
        raise LoadingError("nested too deeply") from error
    except MemoryError as error:
        raise LoadingError("needs more memory than it may take") from error
    except Exception as error:
        raise LoadingError(f"the {reader.name} reader failed: {_one_line(error)}") from error
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except (
        BaseException
    ) as error:  # what a library in Rust panics with is no Exception (pyo3's PanicException)
        raise LoadingError(f"the {reader.name} reader failed: {_one_line(error)}") from error


def _suffix(name: str) -> str:
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def _one_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
