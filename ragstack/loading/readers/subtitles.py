"""Reads subtitles (SRT, WebVTT): what is said, joined to paragraphs; the place of each cue is its time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind, Landmark

_TIMING = re.compile(
    r"[^\S\n]*((?:\d{1,3}:)?\d{1,2}:\d{2})[.,]\d{1,3}[^\S\n]+-->[^\S\n]+((?:\d{1,3}:)?\d{1,2}:\d{2})[.,]\d{1,3}[^\n]*"
)
_MARKUP = re.compile(r"<[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}")
_VOICE = re.compile(r"<v(?:\.[^\s<>]{0,50})?\s+([^<>\n]{1,80})>")
_SENTENCE_END = (".", "!", "?", "\u2026", "\u3002", '."', '?"', '!"')
_LONG_PAUSE = 4
"""Seconds of silence after which somebody begins anew."""

_MAX_PARAGRAPH = 600
"""Characters after which the next sentence begins a paragraph."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: when it appears and vanishes, in whole seconds, and what it says."""

    start: int
    end: int
    text: str


def extract(data: bytes, _name: str, _limits: Limits) -> Document:
    """The document of an SRT or VTT file."""
    refuse_other_formats(data)
    return parse(decode(data))


def parse(source: str) -> Document:
    """The document of clean subtitles."""
    pieces: list[str] = []
    landmarks: list[Landmark] = []
    starts: list[int] = []
    length = 0
    before: Cue | None = None
    for cue in _cues(source):
        begins = before is None or _begins_paragraph(before, cue, length - starts[-1])
        separator = "" if before is None else "\n\n" if begins else "\n"
        length += len(separator)
        if begins:
            starts.append(length)
        landmarks.append(Landmark(length, "time", _clock(cue.start)))
        pieces.append(separator + cue.text)
        length += len(cue.text)
        before = cue
    ends = [start - 2 for start in starts[1:]] + [length]
    return Document(
        text="".join(pieces),
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=tuple(Element(ElementKind.PARAGRAPH, *span) for span in zip(starts, ends, strict=False)),
        landmarks=tuple(landmarks),
    )


def _cues(source: str) -> Iterator[Cue]:
    """The cues that say something; numbers, notes and styles between them are left out."""
    timing: tuple[int, int] | None = None
    lines: list[str] = []
    for line in [*source.split("\n"), ""]:
        match = _TIMING.fullmatch(line)
        if match is not None:
            timing, lines = (_seconds(match[1]), _seconds(match[2])), []
        elif line.strip():
            lines.append(line)
        elif timing is not None:
            text = "\n".join(filter(None, map(_spoken, lines)))
            if text:
                yield Cue(*timing, text)
            timing = None


def _spoken(line: str) -> str:
    """A line without markup; whoever speaks (`<v Ada>`) is named before it."""
    named = _VOICE.sub(lambda match: f"{match[1].strip()}: ", line)
    return " ".join(html.unescape(_MARKUP.sub("", named)).replace("\0", "\ufffd").split())


def _begins_paragraph(before: Cue, cue: Cue, length: int) -> bool:
    if cue.start - before.end > _LONG_PAUSE:
        return True
    return length > _MAX_PARAGRAPH and before.text.endswith(_SENTENCE_END)


def _seconds(clock: str) -> int:
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


READER = Reader(
    name="subtitles",
    version=1,
    suffixes=(".srt", ".vtt"),
    media_type="text/vtt",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)
