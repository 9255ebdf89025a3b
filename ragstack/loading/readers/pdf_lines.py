"""Takes the lines of a PDF page from pdfium, each with its place, size and kind of font.

A PDF holds glyphs at positions; pdfium groups them into lines in the order in which they were drawn, which is
nearly always the order of reading. What the lines mean together is not decided here but in `pdf_layout`.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ragstack.loading.encoding import clean

# A gap wider than this many times the font size separates columns; justified text stays below it.
_COLUMN_GAP = 1.6
COLUMN = "\t"

_FIXED_PITCH = 1  # bit 1 of the font flags, ISO 32000-1 table 123
_FORCE_BOLD = 1 << 18
_BOLD_WEIGHT = 600
_BOLD_NAME = re.compile(r"bold|black|heavy|medi\b|cmb", re.IGNORECASE)
_FIXED_NAME = re.compile(
    r"mon[aol]|courier|consol|menlo|typewriter|code|cm(?:sl)?tt|lettergothic", re.IGNORECASE
)

# pdfium ends a line with CR LF, and marks a word that goes on in the next line with U+FFFE (U+0002 of old).
_LINE = re.compile(r"(?P<text>.*?)(?P<end>\r\n|[\ufffe\x02](?:\r\n)?|\xad\r\n|\Z)", re.DOTALL)

_BULLETS = dict.fromkeys((0xF0B7, 0xF0A7, 0xF0D8, 0xF0FC, 0xF06E, 0xF076, 0xF0A8, 0xF02D), "\u2022")
_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
_GLYPHS = str.maketrans({**_BULLETS, **_LIGATURES, 0x00A0: " ", 0x00AD: "", 0x200B: "", 0xFEFF: ""})
_NO_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ue000-\uf8ff\ufff0-\ufffb\ufffe\uffff]")
_SPACES = re.compile(r"[^\S\t]+")
_AROUND_COLUMN = re.compile(r" *\t[ \t]*")
# The number or bullet of an item that hangs far out; a number before several cells begins the row of a table.
_HANGING = re.compile(r"([^\w\s]|\(?\d[\d.]*\)?|\(?[A-Za-z][.)]|\u00a7+\S*)\t(?=\S+ \S+ \S+[^\t]*$)")
_DOT_LEADER = re.compile(r"(?:[ \t]*\.){4,}[ \t]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a page, counted from 0. Positions and sizes are in points, `y` from the bottom of the page.

    `text` has a tab where a wide gap separates columns. `hyphenated` says that its last word goes on in the
    next line.
    """

    page: int
    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool = False
    fixed: bool = False
    slanting: bool = False
    hyphenated: bool = False

    @property
    def prose(self) -> str:
        """The text without regard to columns."""
        return self.text.replace(COLUMN, " ")


def page_lines(text_page: Any, page: int) -> Iterator[Line]:
    """The lines of a pdfium text page in drawing order, blank ones left out."""
    characters = text_page.get_text_range()
    probe = _Probe(text_page, characters)
    for match in _LINE.finditer(characters):
        body = match["text"]
        first = match.start() + len(body) - len(body.lstrip())
        last = match.start() + len(body.rstrip()) - 1
        if first > last:
            continue
        line = probe.line(page, first, last, hyphenated=match["end"] not in ("", "\r\n"))
        if line.text:
            yield line


def _readable(text: str) -> str:
    """Text as it is read: ligatures spelled out, private and control characters gone, spaces single."""
    text = _NO_TEXT.sub("", clean(text.translate(_GLYPHS)))
    text = _DOT_LEADER.sub(" ... ", _SPACES.sub(" ", text))
    text = _AROUND_COLUMN.sub(COLUMN, text).strip()
    return _HANGING.sub(r"\1 ", text, count=1) if _HANGING.match(text) else text


class _Probe:
    """Asks pdfium about single characters; the buffers that it answers into are made once."""

    def __init__(self, text_page: Any, characters: str) -> None:
        import pypdfium2.raw as pdfium

        self.pdfium = pdfium
        self.handle = text_page.raw
        self.characters = characters
        self.indices = None if len(characters) == text_page.count_chars() else self._all_indices()
        self.box = pdfium.FS_RECTF()
        self.matrix = pdfium.FS_MATRIX()
        self.x, self.y = ctypes.c_double(), ctypes.c_double()
        self.name = ctypes.create_string_buffer(128)
        self.flags = ctypes.c_int()

    def line(self, page: int, first: int, last: int, *, hyphenated: bool) -> Line:
        """The line of the characters from `first` to `last`, both included."""
        size, slanting = self._size(self._middle(first, last))
        bold_first, fixed_first = self._font(first)
        bold_last, fixed_last = self._font(last)
        left, _ = self._extent(first)
        _, right = self._extent(last)
        return Line(
            page=page,
            text=_readable(self._with_columns(first, last, size)),
            x0=left,
            x1=right,
            y=self._baseline(first),
            size=size,
            bold=bold_first and bold_last,
            fixed=fixed_first and fixed_last,
            slanting=slanting,
            hyphenated=hyphenated,
        )

    def _middle(self, first: int, last: int) -> int:
        """A character amid the line: the first may be a small bullet, the last a raised number."""
        middle = (first + last) // 2
        return next((at for at in range(middle, last) if not self.characters[at].isspace()), last)

    def _with_columns(self, first: int, last: int, size: float) -> str:
        """The characters, with a tab for each space that is a wide gap."""
        text = self.characters[first : last + 1]
        pieces = []
        start = 0
        for space in re.finditer(" +", text):
            left, _ = self._extent(first + space.start())
            right, _ = self._extent(first + space.end())
            if right - left > _COLUMN_GAP * size:
                pieces.append(text[start : space.start()])
                start = space.end()
        pieces.append(text[start:])
        return COLUMN.join(piece.replace(COLUMN, " ") for piece in pieces)

    def _index(self, position: int) -> int:
        """The number by which pdfium knows the character at a position of the text."""
        return position if self.indices is None else self.indices[position]

    def _all_indices(self) -> list[int]:
        """That number for each position: pdfium counts UTF-16 units, and glyphs that have no text."""
        units = accumulate((1 + (character > "\uffff") for character in self.characters), initial=0)
        return [self.pdfium.FPDFText_GetCharIndexFromTextIndex(self.handle, unit) for unit in units]

    def _extent(self, position: int) -> tuple[float, float]:
        self.pdfium.FPDFText_GetLooseCharBox(self.handle, self._index(position), self.box)
        return self.box.left, self.box.right

    def _baseline(self, position: int) -> float:
        self.pdfium.FPDFText_GetCharOrigin(self.handle, self._index(position), self.x, self.y)
        return self.y.value

    def _size(self, position: int) -> tuple[float, bool]:
        """Font size as it appears, the nominal one scaled by the matrix, and whether the text is turned."""
        index = self._index(position)
        size = self.pdfium.FPDFText_GetFontSize(self.handle, index)
        if not self.pdfium.FPDFText_GetMatrix(self.handle, index, self.matrix):
            return size, False
        scale = math.hypot(self.matrix.c, self.matrix.d)
        return size * scale, abs(self.matrix.b) > 0.1 * scale

    def _font(self, position: int) -> tuple[bool, bool]:
        """Whether the character is bold, and whether its font is one of fixed pitch."""
        index = self._index(position)
        self.pdfium.FPDFText_GetFontInfo(self.handle, index, self.name, len(self.name), self.flags)
        name = self.name.value.decode("latin-1")
        weight = self.pdfium.FPDFText_GetFontWeight(self.handle, index)
        flags = self.flags.value
        is_bold = weight >= _BOLD_WEIGHT or bool(flags & _FORCE_BOLD) or bool(_BOLD_NAME.search(name))
        return is_bold, bool(flags & _FIXED_PITCH) or bool(_FIXED_NAME.search(name))
