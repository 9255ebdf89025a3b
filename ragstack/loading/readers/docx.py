"""Reads Word documents (DOCX) with mammoth, whose HTML goes the way of all pages, and keeps their pages.

Word notes in the file where its pages ended when it was last laid out; those places become landmarks.
Formulas are written on a line (`a/b`, `x^2`). Images and what else lies outside of the file are never opened.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, zip_longest

from ragstack.loading.limits import Limits
from ragstack.loading.readers import html
from ragstack.loading.readers.archive import open_archive
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition, assemble
from ragstack.loading.readers.office import properties, require_part
from ragstack.loading.readers.xml_tree import one_line, refuse_entities, without_title
from ragstack.records import Document, Element, Landmark

_EXPECTED = "a DOCX document"

# A character that no document holds (a noncharacter of Unicode) stands for the end of a page on the way
# through mammoth and the HTML reader.
_PAGE_END = "\ufdd0"
_LAID_OUT = re.compile(rb"<w:lastRenderedPageBreak\s*/>")
_ASKED_FOR = re.compile(rb"""<w:br\s[^<>]*w:type=["']page["'][^<>]*/>""")
_MARKED = f"<w:t>{_PAGE_END}</w:t>".encode()

_FORMULA = re.compile(rb"<m:(oMathPara|oMath)[\s>].*?</m:\1>", re.DOTALL)
_FORMULA_TAG = re.compile(rb"<(/?)m:(\w+)([^<>]*)>")
_INVISIBLE_OPERATORS = re.compile(rb"\xe2\x81[\xa1-\xa4]")  # U+2061 to U+2064 in UTF-8
_RUN_PROPERTIES = re.compile(rb"<w:rPr>.*?</w:rPr>", re.DOTALL)
_SIGNS_AFTER = {b"num": b"/"}
_SIGNS_BEFORE = {b"sup": b"^", b"sub": b"_", b"rad": "\u221a".encode()}

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
comment-reference => sup
"""


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of a DOCX file."""
    import mammoth

    with open_archive(data, limits, _EXPECTED) as archive:
        require_part(archive, "word/", _EXPECTED)
        metadata = properties(archive)
        prepared = _prepared(archive)
    converted = mammoth.convert_to_html(prepared, style_map=_STYLES, convert_image=lambda _image: [])
    composition = _compose(html.blocks_of(converted.value))
    first_heading = next((each.title for each in composition.elements if each.level == 1), None)
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title") or first_heading,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=without_title(metadata),
    )


def _prepared(archive: zipfile.ZipFile) -> io.BytesIO:
    """The archive without its media, with page ends and formulas as text that mammoth passes on."""
    prepared = io.BytesIO()
    with zipfile.ZipFile(prepared, "w") as copy:
        for entry in archive.infolist():
            if not entry.filename.startswith("word/media/"):
                content = archive.read(entry)
                is_text = entry.filename.startswith("word/") and entry.filename.endswith(".xml")
                refuse_entities(content, f"part {one_line(entry.filename)}")
                copy.writestr(entry.filename, _marked(content) if is_text else content)
    prepared.seek(0)
    return prepared


def _marked(part: bytes) -> bytes:
    part = part.replace(_PAGE_END.encode(), "\ufffd".encode())
    end_of_page = _LAID_OUT if _LAID_OUT.search(part) else _ASKED_FOR
    part = end_of_page.sub(_MARKED, part)
    return _FORMULA.sub(lambda match: _on_a_line(match[0]), part)


def _on_a_line(formula: bytes) -> bytes:
    """A formula (Office Math) as runs of text: fractions by slashes, powers by carets."""

    def tag(match: re.Match[bytes]) -> bytes:
        closing, name, rest = match.groups()
        if name in (b"r", b"t"):
            return b"<" + closing + b"w:" + name + b">" if not rest.endswith(b"/") else b""
        sign = _SIGNS_AFTER.get(name) if closing else _SIGNS_BEFORE.get(name)
        return b"<w:r><w:t>" + sign + b"</w:t></w:r>" if sign else b""

    visible = _INVISIBLE_OPERATORS.sub(b"", _RUN_PROPERTIES.sub(b"", formula))
    return _FORMULA_TAG.sub(tag, visible)


def _compose(blocks: Iterable[Block]) -> Composition:
    """The blocks as a text whose pages are landmarks; without page ends there are none."""
    pages, stripped = [], []
    page = 1
    for block in blocks:
        parts = block.text.split(_PAGE_END)
        text = "".join(parts)
        starts = list(accumulate(len(part) for part in parts[:-1]))
        stripped.append(replace(block, text=text))
        pages.append([(page, 0)] + [(page + number, start) for number, start in enumerate(starts, start=1)])
        page += len(parts) - 1
    text, elements = assemble(stripped)
    kept = (places for block, places in zip(stripped, pages, strict=True) if block.text.strip())
    composition = Composition()
    composition.add(text, elements, list(_landmarks(elements, kept)) if page > 1 else ())
    return composition


def _landmarks(elements: Sequence[Element], pages: Iterable[list[tuple[int, int]]]) -> Iterator[Landmark]:
    """One landmark for each page, where its first text begins; `pages` are offsets within each element."""
    last = 0
    for element, places in zip(elements, pages, strict=True):
        for (page, offset), following in zip_longest(places, places[1:]):
            begins_later = following is not None and following[1] == offset
            if page > last and not begins_later and element.start + offset < element.end:
                yield Landmark(element.start + offset, "page", str(page))
                last = page


READER = Reader(
    name="docx",
    version=1,
    suffixes=(".docx", ".docm"),
    media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    extract=extract,
)
