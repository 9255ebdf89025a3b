"""How files and documents travel between the ingest and the process that parses them: JSON and bytes.

A frame is two lengths, a JSON object and a payload. Nothing that comes from the other side is ever executed,
as unpickling would be: a parser that a file has taken over can at worst send a wrong document.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

from ragstack.errors import LoadingError, MissingExtraError, RagstackError
from ragstack.loading.encoding import clean
from ragstack.loading.limits import Limits
from ragstack.records import Document, Element, ElementKind, Landmark

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER = 2**31
_MAX_PAYLOAD = 2**33


def write_frame(stream: IO[bytes], header: Mapping[str, Any], payload: bytes) -> None:
    """Write one frame and flush it."""
    encoded = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(encoded), len(payload)))
    stream.write(encoded)
    stream.write(payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None at the end of the stream, also in the middle of a frame."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_length, payload_length = _LENGTHS.unpack(lengths)
    if header_length > _MAX_HEADER or payload_length > _MAX_PAYLOAD:
        raise ValueError("a frame of an impossible length")
    encoded, payload = stream.read(header_length), stream.read(payload_length)
    if len(encoded) < header_length or len(payload) < payload_length:
        return None
    header = json.loads(encoded)
    if not isinstance(header, dict):
        raise TypeError("a frame without a header")
    return header, payload


def request(name: str, limits: Limits) -> dict[str, Any]:
    """The header that asks for the document of a file; its bytes are the payload."""
    return {"name": name, "limits": asdict(limits)}


def limits_of(header: Mapping[str, Any]) -> Limits:
    """The limits of a request."""
    return Limits(**header["limits"])


def answer(document: Document) -> tuple[dict[str, Any], bytes]:
    """Header and payload that carry a document."""
    header = {
        "media_type": document.media_type,
        "reader": document.reader,
        "reader_version": document.reader_version,
        "title": document.title,
        "elements": [[e.kind.value, e.start, e.end, e.level, e.title] for e in document.elements],
        "landmarks": [[mark.start, mark.kind, mark.label] for mark in document.landmarks],
        "lines_are_original": document.lines_are_original,
        "metadata": dict(document.metadata),
    }
    return header, document.text.encode()


def refusal(error: RagstackError) -> dict[str, Any]:
    """The header that carries an error."""
    extra = error.extra if isinstance(error, MissingExtraError) else None
    return {"error": error.message, "hint": error.hint, "extra": extra}


def document_of(header: Mapping[str, Any], payload: bytes) -> Document:
    """The document of an answer; raises the error that it carries, LoadingError for an unsound answer."""
    if "error" in header:
        if header.get("extra"):
            what = str(header["error"]).partition(" needs the extra ")[0]
            raise MissingExtraError(what, extra=str(header["extra"]))
        raise LoadingError(str(header["error"]), hint=header.get("hint"))
    try:
        return _document(header, clean(payload.decode()))
    except (KeyError, TypeError, ValueError) as error:
        raise LoadingError("its parser gave an answer that makes no sense") from error


def _document(header: Mapping[str, Any], text: str) -> Document:
    elements = tuple(
        Element(ElementKind(kind), start, end, level, title)
        for kind, start, end, level, title in header["elements"]
    )
    landmarks = tuple(Landmark(start, kind, label) for start, kind, label in header["landmarks"])
    end = 0
    for element in elements:
        if not end <= element.start < element.end <= len(text):
            raise ValueError("elements out of order")
        end = element.end
    return Document(
        text=text,
        media_type=header["media_type"],
        reader=header["reader"],
        reader_version=header["reader_version"],
        title=header["title"],
        elements=elements,
        landmarks=landmarks,
        lines_are_original=header["lines_are_original"],
        metadata=header["metadata"],
    )
