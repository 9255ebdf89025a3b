"""Reads JSON and JSON Lines as the text that they are, with their top-level keys or items as landmarks.

Nothing is parsed into objects, so depth and size cost no more than their characters. Escapes that stand for
letters are replaced by them; a file on few long lines is broken into lines where its outer levels part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragstack.loading.encoding import clean, decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind, Landmark

_STRING = r'"(?:[^"\\\n]|\\.)*+"'
_STRING_OR_COMMA = re.compile(rf"{_STRING}|[{{}}\[\],]")
_ESCAPE = re.compile(
    r"\\\\|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})"
)
_PART = re.compile(rf"\s*(({_STRING})|[^\s\]}}])")
_LINE = re.compile(r"[^\n]*\S[^\n]*")

_LONG_LINE = 400
"""Nobody breaks lines at more characters on average; such a file was written by a program for programs."""

_BROKEN_LEVELS = 4
_MAX_LABEL = 80


def extract(data: bytes, name: str, _limits: Limits) -> Document:
    """The document of a JSON or JSON Lines file."""
    refuse_other_formats(data)
    return _document(decode(data), is_lines=name.lower().endswith((".jsonl", ".ndjson")))


def parse(text: str) -> Document:
    """The document of the clean text of a JSON value."""
    return _document(text, is_lines=False)


def _document(source: str, *, is_lines: bool) -> Document:
    text = clean(_ESCAPE.sub(_unescaped, source))
    if is_lines:
        elements = [Element(ElementKind.CODE, *match.span()) for match in _LINE.finditer(text)]
        return _made(text, tuple(elements), (), lines_are_original=True)
    is_original = len(text) <= _LONG_LINE * (text.count("\n") + 1)
    if not is_original:
        text = "".join(_broken(text))
    starts = list(_landmarks(text))
    return _made(text, tuple(_elements(text, starts)), tuple(starts), lines_are_original=is_original)


def _made(
    text: str, elements: tuple[Element, ...], landmarks: tuple[Landmark, ...], *, lines_are_original: bool
) -> Document:
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=elements,
        landmarks=landmarks,
        lines_are_original=lines_are_original,
    )


def _unescaped(match: re.Match[str]) -> str:
    """The letter that an escape stands for; controls and quotes stay escaped, so that lines stay lines."""
    high, low, single = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    code = int(single, 16) if single else 0
    return chr(code) if code >= 0xA0 and not 0xD800 <= code < 0xE000 else match[0]


def _broken(text: str) -> Iterator[str]:
    """The text with line ends where its outer levels part."""
    depth = position = 0
    for match in _STRING_OR_COMMA.finditer(text):
        sign = match[0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
        if sign == "," and depth <= _BROKEN_LEVELS:
            yield text[position : match.end()]
            yield "\n" + "  " * max(depth, 0)
            position = match.end()
            position += len(text[position : position + 1]) - len(text[position : position + 1].lstrip())
    yield text[position:]


def _landmarks(text: str) -> Iterator[Landmark]:
    """Where each key of the outer object, or each item of the outer array, begins."""
    depth = number = 0
    outer = ""
    for match in _STRING_OR_COMMA.finditer(text):
        sign = match[0]
        depth += (sign in ("{", "[")) - (sign in ("}", "]"))
        if not outer and depth == 1:
            outer = sign
        elif sign != "," or depth != 1:
            continue
        number += 1
        part = _PART.match(text, match.end())
        if part is None:
            continue
        if outer == "[":
            yield Landmark(part.start(1), "item", str(number))
        elif part[2] is not None:
            yield Landmark(part.start(1), "key", " ".join(part[2][1:-1].split())[:_MAX_LABEL] or '""')


def _elements(text: str, landmarks: list[Landmark]) -> Iterator[Element]:
    """One element of code from each landmark to the next."""
    starts = [mark.start for mark in landmarks]
    if not starts or text[: starts[0]].strip():
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        first = start + len(part) - len(part.lstrip())
        last = start + len(part.rstrip())
        if first < last:
            yield Element(ElementKind.CODE, first, last)


READER = Reader(
    name="json",
    version=1,
    suffixes=(".json", ".jsonl", ".ndjson", ".geojson", ".jsonld"),
    media_type="application/json",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)
