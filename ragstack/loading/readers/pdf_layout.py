"""Rebuilds headings, paragraphs, lists, tables and code from the lines of a PDF, whose author knew them.

All rules look at geometry and at single characters: a larger or bold line is a heading, a line that ends
early was ended on purpose, a gap parts paragraphs. Where they are in doubt they join, since a torn sentence
costs more than two paragraphs that run together. Running heads must be gone (`pdf_running_heads`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import median

from ragstack.loading.readers.pdf_lines import COLUMN, Line
from ragstack.records import ElementKind

# Headings. A size counts as larger from 12 % above the body's; sizes that cover more than 30 % of the text
# are no headings but the text of a slide or a poster.
_LARGER = 1.12
_MAX_HEADING_SHARE = 0.3
_MAX_HEADING = 200
_MAX_BOLD_HEADING = 100
_MAX_LEVEL = 6

# Runs and paragraphs, in multiples of the font size or (paragraph gap) of the leading.
_SAME_SIZE = 0.12
_OTHER_SIZE = 0.5
_RUN_GAP = 2.4
_ROW_GAP = 3.0
_PARAGRAPH_GAP = 1.35
_USUAL_LEADING = 1.2
_ROW_LINES = 4
_CELL = " | "
_INDENT = 0.8
_NARROW = 0.55

# A bullet begins an item wherever it stands; a number or a dash may also begin a line within a sentence.
_BULLET = re.compile(r"[\u2022\u25cf\u25aa\u25e6\u2023\u00b7\u2219\u25a0\u25b6]\s+\S")
_NUMBER = re.compile(r"(?:[\u2013\u2014*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\(?[ivx]{1,5}[.)])\s+\S")
_CLAUSE = re.compile(r"(?:\d{1,3}(?:\.\d{1,3})+\.?|\.\d{1,3}|\u00a7+\s?\d+\S*)\s+\S")
_SECTION = re.compile(r"(?i:(?:chapter|part|section|appendix)\s+)?(?:\d[\d.]*|[A-Z]|[IVX]+)[.):]?\s+")
_SENTENCE_END = re.compile(r"[.!?:;\u3002\uff01\uff1f\u2026][\"'\u201d\u2019)\]\u00bb]*$")
_CUT_WORD = re.compile(r"[^\W\d_]-$|\w_$|://\S*[/.?&=]$")
_CONTENTS = re.compile(r" \.\.\. \S{1,6}$")
_PROSE = (ElementKind.PARAGRAPH, ElementKind.LIST_ITEM)
_WIDE_SCRIPT = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_LETTERS = re.compile(r"[^\W\d_]{2}")


@dataclass(slots=True)
class Paragraph:
    """Lines that belong together; `separators[i]` stands between line i and the one before it."""

    kind: ElementKind
    lines: list[Line]
    separators: list[str] = field(default_factory=lambda: [""])
    level: int = 0

    def append(self, line: Line, separator: str) -> None:
        """Go on with a line."""
        self.lines.append(line)
        self.separators.append(separator)


def rebuild(lines: Sequence[Line], outline: Mapping[tuple[int, str], int]) -> list[Paragraph]:
    """The structure of a document, in the order of its lines.

    `outline` has the level (from 1) of each heading of the PDF's own outline, by page and `heading_key`.
    """
    if not lines:
        return []
    style = _style_of(lines)
    found: list[Paragraph] = []
    for run, level in _runs(lines, _heading_levels(lines, style, outline)):
        for paragraph in _headings(run, level) if level else _split(run, style):
            if found and _continues(found[-1], paragraph):
                _join(found[-1], paragraph)
            else:
                found.append(paragraph)
    return found


def heading_key(title: str) -> str:
    """A title without numbering, case, spaces and punctuation, by which line and outline are compared."""
    number = _SECTION.match(title)
    plain = title[number.end() :] if number is not None else title
    return "".join(character for character in plain.casefold() if character.isalnum())


# ----------------------------------------------------------------------------- headings


@dataclass(frozen=True, slots=True)
class _Style:
    """What is usual in a document: the body's size and line width, and the level of each heading size."""

    body_size: float
    body_width: float
    leading: float
    levels: Mapping[float, int]
    bold_is_rare: bool
    fixed_is_rare: bool


def _style_of(lines: Sequence[Line]) -> _Style:
    total = sum(len(line.text) for line in lines)
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[_rounded(line.size)] += len(line.text)
    body_size = sizes.most_common(1)[0][0]
    widths = [line.x1 - line.x0 for line in lines if _rounded(line.size) == body_size and len(line.text) > 20]
    steps = [
        (above.y - below.y) / above.size
        for above, below in pairwise(lines)
        if above.size and _rounded(below.size) == _rounded(above.size) == body_size and _flows(above, below)
    ]
    levels: dict[float, int] = {}
    share = 0
    for size in sorted((size for size in sizes if size > body_size * _LARGER), reverse=True):
        share += sizes[size]
        if share > total * _MAX_HEADING_SHARE:
            break
        levels[size] = min(len(levels) + 1, _MAX_LEVEL)
    return _Style(
        body_size=body_size,
        body_width=median(widths) if widths else 0.0,
        leading=median(steps) if steps else _USUAL_LEADING,
        levels=levels,
        bold_is_rare=sum(len(line.text) for line in lines if line.bold) < total * _MAX_HEADING_SHARE,
        fixed_is_rare=sum(len(line.text) for line in lines if line.fixed) < total / 2,
    )


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _heading_levels(
    lines: Sequence[Line], style: _Style, outline: Mapping[tuple[int, str], int]
) -> list[int]:
    """The level of each line, 0 for those that are no headings."""
    levels = [
        outline.get((line.page, heading_key(line.text))) or style.levels.get(_rounded(line.size), 0)
        if _may_be_heading(line)
        else 0
        for line in lines
    ]
    if style.bold_is_rare:
        lowest = min(max(style.levels.values(), default=0) + 1, _MAX_LEVEL)
        for number in range(len(lines)):
            if not levels[number] and _is_bold_heading(lines, number):
                levels[number] = lowest
    return levels


def _may_be_heading(line: Line) -> bool:
    text = line.text
    return (
        len(text) <= _MAX_HEADING
        and not line.slanting
        and COLUMN not in text
        and " ... " not in text
        and _LETTERS.search(text) is not None
    )


def _is_bold_heading(lines: Sequence[Line], number: int) -> bool:
    """Whether a line of the body's size is bold as a whole, and stands alone above text that is not."""
    line = lines[number]
    if not line.bold or line.fixed or len(line.text) > _MAX_BOLD_HEADING or not _may_be_heading(line):
        return False
    if number + 1 == len(lines) or line.text[-1] in ".,;" or line.text[0].islower():
        return False
    following = lines[number + 1]
    if following.bold or COLUMN in following.text or abs(following.y - line.y) < line.size / 2:
        return False
    return number == 0 or not lines[number - 1].bold or lines[number - 1].size > line.size * _LARGER


def _headings(run: Sequence[Line], level: int) -> list[Paragraph]:
    """The heading that some large lines make; several, if they are numbered or too long for one."""
    found: list[Paragraph] = []
    length = 0
    for line in run:
        length += len(line.text) + 1
        if not found or length > _MAX_HEADING or _NUMBER.match(line.text) or _CLAUSE.match(line.text):
            found.append(Paragraph(ElementKind.HEADING, [line], level=level))
            length = len(line.text)
        else:
            found[-1].append(line, _space(found[-1].lines[-1], line))
    return found


# ------------------------------------------------------------------------------- blocks


def _runs(lines: Sequence[Line], levels: Sequence[int]) -> Iterator[tuple[list[Line], int]]:
    """Lines that follow each other down a column in one size, with their common heading level."""
    run = [lines[0]]
    level = levels[0]
    for line, its_level in zip(lines[1:], levels[1:], strict=True):
        lowest = min(run[-_ROW_LINES:], key=lambda above: above.y)
        if its_level == level and (_flows(lowest, line) or _row_of(run[-_ROW_LINES:], line) is not None):
            run.append(line)
            continue
        yield run, level
        run, level = [line], its_level
    yield run, level


def _flows(above: Line, below: Line) -> bool:
    if above.page != below.page or above.slanting or below.slanting:
        return False
    if above.hyphenated:
        return True
    larger, smaller = max(above.size, below.size), min(above.size, below.size)
    reach = _ROW_GAP if COLUMN in above.text and COLUMN in below.text else _RUN_GAP
    overlap = min(above.x1, below.x1) - max(above.x0, below.x0)
    return larger - smaller <= _SAME_SIZE * larger and 0 < above.y - below.y <= reach * larger and overlap > 0


def _split(run: Sequence[Line], style: _Style) -> Iterator[Paragraph]:
    """Tables, code and paragraphs of a run; one line with gaps is no table, one in fixed pitch no code."""
    kinds: list[ElementKind] = []
    for kind, pairs in groupby(zip(_stretches(run, style), run, strict=True), key=lambda pair: pair[0]):
        lines = [line for _, line in pairs]
        rows = sum(kind is not ElementKind.TABLE or COLUMN in line.text for line in lines)
        kinds.extend([kind if rows > 1 else ElementKind.PARAGRAPH] * len(lines))
    for kind, pairs in groupby(zip(kinds, run, strict=True), key=lambda pair: pair[0]):
        lines = [line for _, line in pairs]
        if kind is ElementKind.PARAGRAPH:
            yield from _prose(lines, style)
        else:
            yield _kept_lines(kind, lines)


def _stretches(run: Sequence[Line], style: _Style) -> Iterator[ElementKind]:
    """What each line of a run is by itself, or as the rest of the table row above it."""
    is_table = False
    for number, line in enumerate(run):
        is_table = COLUMN in line.text or (
            is_table and _row_of(run[max(0, number - _ROW_LINES) : number], line) is not None
        )
        if is_table:
            yield ElementKind.TABLE
        elif line.fixed and style.fixed_is_rare:
            yield ElementKind.CODE
        else:
            yield ElementKind.PARAGRAPH


def _row_of(lines: Sequence[Line], line: Line) -> Line | None:
    """The row just above that a line without columns belongs to: as a further cell, or as the rest of one."""
    row = next((above for above in reversed(lines) if COLUMN in above.text), None)
    if row is None or COLUMN in line.text or row.page != line.page or line.slanting:
        return None
    below = row.y - line.y
    is_cell = abs(below) < line.size / 2 and line.x0 > row.x1
    is_rest = 0 < below < _ROW_LINES * _PARAGRAPH_GAP * row.size and line.x0 > row.x0 + 2 * row.size
    is_close = 0 < lines[-1].y - line.y < _PARAGRAPH_GAP * row.size
    return row if is_cell or (is_rest and is_close) else None


def _kept_lines(kind: ElementKind, lines: Sequence[Line]) -> Paragraph:
    """Code or a table, line by line; what belongs to the row above goes into its line."""
    paragraph = Paragraph(kind, [lines[0]])
    for number, line in enumerate(lines[1:], start=1):
        row = (
            _row_of(lines[max(0, number - _ROW_LINES) : number], line) if kind is ElementKind.TABLE else None
        )
        is_cell = row is not None and line.x0 > row.x1 and abs(row.y - line.y) < line.size / 2
        rest = _CELL if is_cell else _space(lines[number - 1], line)
        paragraph.append(line, "\n" if row is None else rest)
    return paragraph


def _prose(lines: Sequence[Line], style: _Style) -> Iterator[Paragraph]:
    """The paragraphs and list items of lines in one column."""
    column = _Column(lines, style)
    current = column.begin(lines[0])
    for line in lines[1:]:
        separator = column.separator(current, line)
        if separator is None:
            yield current
            current = column.begin(line)
        else:
            current.append(line, separator)
    yield current


class _Column:
    """Judges what a line is to the one above it, by the leading and the right margin of their column."""

    def __init__(self, lines: Sequence[Line], style: _Style) -> None:
        gaps = [above.y - below.y for above, below in pairwise(lines) if not above.hyphenated]
        self.leading = median(gaps) if len(gaps) > 2 else style.leading * lines[0].size
        self.right = max(line.x1 for line in lines)
        self.is_narrow = self.right - min(line.x0 for line in lines) < _NARROW * style.body_width
        self.keeps_lines = not style.fixed_is_rare and all(line.fixed for line in lines)

    def begin(self, line: Line) -> Paragraph:
        """A new paragraph; a list item, if it begins with a bullet or a number."""
        is_item = _BULLET.match(line.text) or _NUMBER.match(line.text)
        return Paragraph(ElementKind.LIST_ITEM if is_item else ElementKind.PARAGRAPH, [line])

    def separator(self, current: Paragraph, line: Line) -> str | None:
        """What joins a line to the paragraph above it, None when it begins another."""
        above = current.lines[-1]
        ended = _SENTENCE_END.search(above.text) is not None
        if above.hyphenated or (not ended and not self.keeps_lines and _goes_on(line)):
            return _space(above, line)
        if _BULLET.match(line.text) or above.y - line.y > _PARAGRAPH_GAP * self.leading:
            return None
        if self.keeps_lines or _CONTENTS.search(above.text):
            return "\n"
        early = self.is_narrow or self._ended_early(above, line)
        if ended and (early or self._is_set_apart(current, line)):
            return None
        if not early:
            return _space(above, line)
        is_item = _CLAUSE.match(line.text) or _NUMBER.match(line.text)
        return None if is_item or self._is_below_item(current, line) else "\n"

    def _ended_early(self, above: Line, line: Line) -> bool:
        """Whether the first word of a line would have fitted onto the line above."""
        first_word = line.text.split(maxsplit=1)[0]
        width = (line.x1 - line.x0) * len(first_word) / len(line.text)
        return self.right - above.x1 > width + above.size / 2

    def _is_below_item(self, current: Paragraph, line: Line) -> bool:
        """Whether a line has returned to the margin from which the text of a list item hangs."""
        margin = current.lines[0].x0 + _INDENT / 2 * line.size
        return current.kind is ElementKind.LIST_ITEM and line.x0 < margin

    def _is_set_apart(self, current: Paragraph, line: Line) -> bool:
        """Whether a line after the end of a sentence begins a paragraph: by number, size or indent."""
        above = current.lines[-1]
        if _CLAUSE.match(line.text) or _NUMBER.match(line.text) or abs(above.size - line.size) > _OTHER_SIZE:
            return True
        shift = line.x0 - above.x0
        if len(current.lines) == 1:
            hangs = current.kind is ElementKind.LIST_ITEM or _CLAUSE.match(above.text) is not None
            return not hangs and shift > _INDENT * line.size
        return abs(shift) > _INDENT * line.size


def _goes_on(line: Line) -> bool:
    """Whether a line must be the rest of a sentence, by its first letter."""
    return line.text[0].islower() and _NUMBER.match(line.text) is None


def _space(above: Line, below: Line) -> str:
    """What stands between two lines of one sentence: nothing within a word, or in a script without spaces."""
    both_wide = _WIDE_SCRIPT.match(above.text[-1]) and _WIDE_SCRIPT.match(below.text[0])
    within_word = _CUT_WORD.search(above.text) and below.text[0].isalpha()
    return "" if above.hyphenated or both_wide or within_word else " "


def _continues(above: Paragraph, below: Paragraph) -> bool:
    """Whether a paragraph goes on after the end of a column or of a page."""
    last, first = above.lines[-1], below.lines[0]
    if below.kind is not ElementKind.PARAGRAPH or above.kind not in _PROSE:
        return False
    if abs(last.size - first.size) > _SAME_SIZE * last.size or last.slanting or first.slanting:
        return False
    moved_up = first.page > last.page or first.y > last.y
    return moved_up and (last.hyphenated or (_goes_on(first) and not _SENTENCE_END.search(last.text)))


def _join(above: Paragraph, below: Paragraph) -> None:
    last = above.lines[-1]
    above.separators.extend([_space(last, below.lines[0]), *below.separators[1:]])
    above.lines.extend(below.lines)
