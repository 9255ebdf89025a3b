"""Takes running heads, running feet and page numbers out of the lines of a PDF.

A line is one when a gap parts it from the text of its page, and other pages have the same line at the same
height. What it says is kept where it first appears. How the other lines belong together is for `pdf_layout`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from ragstack.loading.readers.pdf_lines import Line

_MAX_EDGE_ROWS = 2
_EDGE_GAP = 1.8  # in multiples of the font size
_MIN_PAGES = 3
_MIN_SHARE = 0.3
_HEIGHT_STEP = 4  # points
_MAX_NUMERALS = 4
_NUMERAL = re.compile(r"(?<!\d)[0-9]{1,5}(?!\d)")
_PAGE_NUMBER = re.compile(r"\W*(?:page|seite|p|pg|slide)?\W*<-?\d+>(?:\s*(?:of|von|de|sur|/)\s*\d+)?\W*")


def without_running_heads(lines: Sequence[Line], pages: int) -> Iterator[Line]:
    """The lines without page numbers, and with each running head only where it first appears."""
    keys = {number: _running_keys(lines[number]) for number in _edges(lines)}
    counts = Counter(key for its_keys in keys.values() for key in its_keys)
    often = max(_MIN_PAGES, pages * _MIN_SHARE)
    seen: set[str] = set()
    for number, line in enumerate(lines):
        for text, height in keys.get(number, ()):
            count = counts[text, height]
            if (count > 1 and _PAGE_NUMBER.fullmatch(text)) or (count >= often and text in seen):
                break
        else:
            seen.update(text for text, _ in keys.get(number, ((line.prose.casefold(), 0),)))
            yield line


def _edges(lines: Sequence[Line]) -> set[int]:
    """The numbers of the lines that a gap parts from the rest of their page, at its head and at its foot."""
    by_page: dict[int, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        by_page[line.page].append(number)
    edges: set[int] = set()
    for numbers in by_page.values():
        numbers.sort(key=lambda number: lines[number].y)
        rows = _rows(lines, numbers)
        for ordered in (rows, rows[::-1]):
            edges.update(_set_apart(lines, ordered))
    return edges


def _rows(lines: Sequence[Line], numbers: Sequence[int]) -> list[list[int]]:
    """Numbers of lines, sorted by height, as rows of one height each."""
    rows: list[list[int]] = []
    for number in numbers:
        if rows and lines[number].y - lines[rows[-1][0]].y < lines[number].size / 2:
            rows[-1].append(number)
        else:
            rows.append([number])
    return rows


def _set_apart(lines: Sequence[Line], rows: Sequence[list[int]]) -> list[int]:
    """The first rows, at most two, if a gap follows."""
    for count in range(1, min(_MAX_EDGE_ROWS, len(rows) - 1) + 1):
        last, following = lines[rows[count - 1][0]], lines[rows[count][0]]
        if abs(last.y - following.y) >= _EDGE_GAP * max(last.size, following.size):
            return [number for row in rows[:count] for number in row]
    return []


def _running_keys(line: Line) -> list[tuple[str, int]]:
    """What a running head has in common with those of other pages: text, and height.

    The text is its own, or has one number written as its distance from the page's, `<0>`. Other numbers must
    agree, for a line with the sum of each page is no running head.
    """
    text = line.prose.casefold()
    texts = [text]
    for match in islice(_NUMERAL.finditer(text), _MAX_NUMERALS):
        distance = f"<{int(match[0]) - line.page}>"
        texts.append(text[: match.start()] + distance + text[match.end() :])
    return [(text, round(line.y / _HEIGHT_STEP)) for text in texts]
