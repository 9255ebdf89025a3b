"""Finds the sentences of a text: exact spans, by rules over punctuation, line breaks and abbreviations.

It knows no document structure (that is `structure`) and measures nothing in tokens. It looks only at the
span it is given, so a span cut out of a document has the same sentences as the span inside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

UNWRAPPED_LINE = 200
"""Characters beyond which a line cannot come from wrapping, so the line break beside it ends a paragraph."""

SHORT_LINE = 35
"""A line shorter than this was not wrapped either: a heading, a verse, a line of an address."""

WRAPPED_SHARE = 0.7
"""A wrapped line and the word after it reach this share of the longest line of the paragraph."""

_CASE_REACH = 150
"""Characters on either side of a stop that tell whether a text uses capitals at all."""

_OPENING = r"\"'“‘„«‹(\[{*_¿¡"
_CLOSING = r"\"'”’»›)\]}*_"
_LINE_BREAK = re.compile(r"[\n\r\f\u2028\u2029]\s*")
_STOPS = ".!?…‽؟।॥۔።"
_STOP = re.compile(
    # Only at the first of several stops (the test stands behind it because that is searched faster).
    rf"[{_STOPS}](?<![{_STOPS}]{{2}})[{_STOPS}]*+[{_CLOSING}]*+(?:\[\d{{1,3}}\])*+\s+(?=[{_OPENING}]*(\S))"
)
_WIDE_STOPS = "。！？｡．!?"
_WIDE_STOP = re.compile(
    rf"[{_WIDE_STOPS}](?<![{_WIDE_STOPS}]{{2}})[{_WIDE_STOPS}]*+"
    r"(?:(?<=[。！？｡])|(?<=．)(?!\d)|(?=[\u3040-\u30ff\u3400-\u9fff]))([」』）】》〉〕］｝”’\"')\]]*)\s*"
)
_FIRST_OF_MARKERS = frozenset("-*+•‣◦▪●(#=|[0123456789abcdefghijklmnopqrstuvwxyz")
_MARKER = re.compile(
    r"(?:[-*+•‣◦▪●]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]|#{1,6}|=+)[^\S\n\r]+\S"
    r"|\||={3,}|-{3,}|\[?(?:\d{4}-\d\d-\d\d|\d{1,2}:\d\d)"
)
_WHOLE_LINE = re.compile(r"#{1,6}[^\S\n\r]|=+[^\S\n\r]|\||={3,}|-{3,}")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]{1,2}")
_ORDINAL_FOLLOWER = re.compile(
    r"(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert)\b"
)
_WORD = re.compile(r"[^\W\d_]+(?=[\s,'’])")

_NO_START = frozenset('.!?…"”’)]}')
"""What follows a stop and a blank in ". . ." and before a quotation mark that stands apart."""

_CONTINUING = frozenset(",;-–—(&/")
"""A line that ends in one of these goes on in the next."""

_NEVER_LAST = frozenset(
    "dr mr mrs ms messrs mme mlle prof lt cmdr sgt capt gov"
    " e.g eg i.e ie cf viz vs approx resp incl esp fig figs eq eqs"
    " z.b bzw d.h u.a vgl evtl ggf inkl nr bspw p.ex".split()
)
"""Abbreviations that something always follows."""

_BEFORE_NUMBERS = frozenset(
    "no nos p pp vol vols art sec sect ch chap para par ver v col pt ser ed cl tab ref refs ca"
    " jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
"""Abbreviations only when a number follows: "No. 5", but "No. He stayed."""

_SOMETIMES_LAST = frozenset(
    "etc et al inc ltd co corp llc bros jr sr st ave blvd rd mt ft dept univ assn est a.m p.m ph.d"
    " m.d b.a m.a usw bros op cit ibid ed eds gmbh lit min max sp spp gen col maj adm sen rep hon rev"
    " fr".split()
)
"""Abbreviations that end a sentence when a word follows that starts one."""

_STARTERS = frozenset(
    "the a an in on at it its he she his her they their we our you your i my this that these those"
    " there then when while if as but and or however for from after before since although because by"
    " to with no not yes what who how why where which one some many most all each both other such"
    " also more so once during under between until here now today please see both neither nor despite"
    " instead thus therefore moreover furthermore meanwhile finally first second third next another"
    " several every any only even still le la les un une il elle ils nous vous ce cette el los las"
    " der die das ein eine es er sie wir everyone everybody nobody nothing someone something perhaps"
    " maybe".split()
)
"""Words that, with a capital, rarely stand right behind an abbreviation unless they start a sentence."""


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The sentences of `text[start:end]`, in order, as offsets into `text`.

    Spans begin and end with a character that is not blank, and together hold every such character. Blank
    lines, list markers, headings and table rows always separate sentences; a line break inside a paragraph
    only does when the line was evidently not wrapped there.
    """
    stop = len(text) if end is None else min(end, len(text))
    starts = sentence_starts(text, start, stop)
    return [(first, first + len(text[first:last].rstrip())) for first, last in pairwise([*starts, stop])]


def sentence_starts(text: str, start: int, end: int) -> list[int]:
    """Where the sentences of `text[start:end]` begin, in order."""
    return paragraphs_and_sentences(text, start, end)[1]


def paragraphs_and_sentences(text: str, start: int, end: int) -> tuple[list[int], list[int]]:
    """Where the paragraphs of `text[start:end]` begin, and where its sentences do (paragraphs included)."""
    first = start + len(text[start:end]) - len(text[start:end].lstrip())
    if first >= end:
        return [], []
    paragraphs, lines = _line_starts(text, first, end)
    return [first, *paragraphs], sorted({first, *paragraphs, *lines, *_after_stops(text, first, end)})


def _line_starts(text: str, start: int, end: int) -> tuple[list[int], list[int]]:
    """The line starts in `text[start:end]` that begin a paragraph, and those that begin a sentence only."""
    paragraphs: list[int] = []
    lines: list[int] = []
    paragraph: list[int] = [start]  # where its lines begin
    line_ends: list[int] = []
    for match in _LINE_BREAK.finditer(text, start, end):
        following = match.end()
        if following >= end:
            break
        line_ends.append(match.start())
        if _parts_paragraphs(text, paragraph[-1], match, end):
            lines += _unwrapped(text, paragraph, line_ends, end)
            paragraphs.append(following)
            paragraph, line_ends = [following], []
        else:
            paragraph.append(following)
    lines += _unwrapped(text, paragraph, [*line_ends, end], end)
    return paragraphs, lines


def _parts_paragraphs(text: str, line: int, match: re.Match[str], end: int) -> bool:
    blanks = match.group()
    if len(blanks) > 1 and (blanks.count("\n") > 1 or blanks.count("\r") > 1):
        return True
    if "\f" in blanks or "\u2029" in blanks:
        return True
    following = match.end()
    if match.start() - line > UNWRAPPED_LINE:
        return True
    return end - following > UNWRAPPED_LINE and text.find("\n", following, following + UNWRAPPED_LINE) < 0


def _unwrapped(text: str, starts: list[int], ends: list[int], end: int) -> Iterator[int]:
    """The lines of a paragraph, its first excepted, that do not merely carry on the line before."""
    if len(starts) < 2:
        return
    widest = max(line_end - line for line, line_end in zip(starts, ends, strict=True))
    enough = WRAPPED_SHARE * widest
    for line, line_end, following in zip(starts, ends, starts[1:], strict=False):
        if (
            (text[following] in _FIRST_OF_MARKERS and _MARKER.match(text, following, end))
            or _WHOLE_LINE.match(text, line)
            or _is_short(text, (line, line_end), (following, end), enough)
        ):
            yield following


def _is_short(text: str, line: tuple[int, int], rest: tuple[int, int], enough: float) -> bool:
    """Whether a line ends before it is full, and the rest does not look like its continuation."""
    start, line_end = line
    following, end = rest
    length = line_end - start
    if length >= max(SHORT_LINE, enough) or text[line_end - 1] in _CONTINUING:
        return False
    if text[following].islower() and not _is_caseless(text, start, following, end):
        return False
    word = text[following : min(following + 40, end)].split(maxsplit=1)[0]
    return length < SHORT_LINE or length + 1 + len(word) < enough


def _after_stops(text: str, start: int, end: int) -> Iterator[int]:
    for match in _STOP.finditer(text, start, end):
        if _ends_sentence(text, match, start, end):
            yield match.end()
    if not text.isascii():
        for match in _WIDE_STOP.finditer(text, start, end):
            following = match.end()
            if following < end and not (match[1] and "\u3041" <= text[following] <= "\u309f"):
                yield following


def _ends_sentence(text: str, match: re.Match[str], start: int, end: int) -> bool:
    dot = match.start()
    first = match[1]
    if first in _NO_START or (first.islower() and not _is_caseless(text, start, dot, end)):
        return False
    if text[dot] != "." or text[dot + 1] in ".!?…":
        return True
    before = text[max(start, dot - 24) : dot]
    if not before or before[-1].isspace():
        return True
    word = before.split()[-1].lstrip("\"'“‘„«‹([{*_")
    key = word.lower()
    if key in _NEVER_LAST:
        return False
    if key in _BEFORE_NUMBERS and first.isdigit():
        return False
    if key in _SOMETIMES_LAST or _is_initial(word):
        return _starts_sentence(text, match.start(1), end)
    if word.isdigit() and len(word) <= 3:
        return not (
            _ORDINAL_FOLLOWER.match(text, match.end(), end) or _begins_line(text, dot - len(word), start)
        )
    return True


def _is_caseless(text: str, start: int, position: int, end: int) -> bool:
    """Whether the text around is all in small letters, so that a capital cannot be waited for."""
    return text[max(start, position - _CASE_REACH) : min(end, position + _CASE_REACH)].islower()


def _is_initial(word: str) -> bool:
    """A single letter, or letters with dots between: "J", "U.S", "e.V"."""
    if len(word) == 1:
        return word.isupper() or word.islower()
    return "." in word and _DOTTED.fullmatch(word) is not None


def _starts_sentence(text: str, position: int, end: int) -> bool:
    match = _WORD.match(text, position, end)
    return match is not None and match.group().lower() in _STARTERS


def _begins_line(text: str, position: int, start: int) -> bool:
    """Whether only blanks stand between the line's start and the position: an enumerator, not a number."""
    line = max(text.rfind("\n", start, position) + 1, start)
    return not text[line:position].strip()
