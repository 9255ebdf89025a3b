"""Reads LaTeX without running it: sections are headings, listings code; the text stays as it is.

Title, author and date are taken from the preamble. No file is included and no macro expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.readers.lined import trimmed, with_paragraphs
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

_LEVELS = {
    "part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5,
    "subparagraph": 6,
}  # fmt: skip
_CODE = ("verbatim", "verbatim*", "lstlisting", "minted", "Verbatim", "alltt", "algorithmic", "tikzpicture")
_TABLES = ("tabular", "tabular*", "tabularx", "longtable", "tabulary")
_FOUND = re.compile(
    rf"^[^\S\n]*\\({'|'.join(_LEVELS)})\*?[^\S\n]*(?:\[[^\[\]\n]{{0,200}}\])?\{{"
    rf"|\\begin\{{({'|'.join(re.escape(name) for name in (*_CODE, *_TABLES))})\}}",
    re.MULTILINE,
)
_PREAMBLE = re.compile(r"\\begin\{document\}")
_PROPERTY = re.compile(r"\\(title|author|date)\*?(?:\[[^\[\]]{0,200}\])?\{")
_COMMAND = re.compile(r"\\(?:\\|[A-Za-z]+\*?(?:\[[^\[\]]{0,200}\])?|.)")
_MAX_ARGUMENT = 1_000
_MAX_VALUE = 500


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of a LaTeX file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(text: str) -> Document:
    """The document of clean LaTeX."""
    elements = tuple(with_paragraphs(text, _found(text)))
    metadata = _properties(text)
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.pop("title", None),
        elements=elements,
        lines_are_original=True,
        metadata=metadata,
    )


def _found(text: str) -> Iterator[Element]:
    position = 0
    begin = _PREAMBLE.search(text)
    if begin is not None:
        start, position = trimmed(text, 0, begin.end())
        yield Element(ElementKind.CODE, start, position)
    unclosed: set[str] = set()
    while (match := _FOUND.search(text, position)) is not None:
        element = _heading(text, match) if match[1] else _environment(text, match, unclosed)
        if element is not None:
            yield element
        position = element.end if element is not None else match.end()


def _heading(text: str, match: re.Match[str]) -> Element | None:
    argument = _argument(text, match.end())
    title = _plain(argument) if argument is not None else ""
    if argument is None or not title:
        return None
    start, end = trimmed(text, match.start(), match.end() + len(argument) + 1)
    return Element(ElementKind.HEADING, start, end, _LEVELS[match[1]], title)


def _environment(text: str, match: re.Match[str], unclosed: set[str]) -> Element | None:
    """A listing or a table, up to the end of its environment; one without an end is looked for only once."""
    closing = f"\\end{{{match[2]}}}"
    end = -1 if closing in unclosed else text.find(closing, match.end())
    if end < 0:
        unclosed.add(closing)
        return None
    kind = ElementKind.CODE if match[2] in _CODE else ElementKind.TABLE
    return Element(kind, match.start(), end + len(closing))


def _argument(text: str, start: int) -> str | None:
    """What stands between the brace before `start` and the one that closes it; None if that is far away."""
    depth = 1
    for place in range(start, min(start + _MAX_ARGUMENT, len(text))):
        character = text[place]
        if character in "{}" and text[place - 1] != "\\":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return text[start:place]
    return None


def _plain(source: str) -> str:
    """An argument without its commands, on one line."""
    text = _COMMAND.sub(lambda match: match[0][1] if match[0][1] in "&%$#_{}" else " ", source)
    line = " ".join(text.translate({ord("{"): None, ord("}"): None, ord("~"): " "}).split())
    return line.replace(" ,", ",")[:_MAX_VALUE]


def _properties(text: str) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for match in _PROPERTY.finditer(text, 0, 100_000):
        argument = _argument(text, match.end())
        value = _plain((argument or "").replace("\\and", ", ").replace("\\today", ""))
        if value:
            metadata.setdefault(match[1], value)
    return metadata


READER = Reader(
    name="latex",
    version=1,
    suffixes=(".tex", ".ltx", ".latex"),
    media_type="text/x-tex",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)
