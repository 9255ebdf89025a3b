"""Reads the front matter of a text: the flat keys of the YAML block that may open a Markdown file.

Only what authors write there is understood (`key: value`, quoted values, lists, folded lines); nested maps
are left out. It is not a YAML parser, and so builds no object that a document could choose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_MAX_LINES = 200
_MAX_KEYS = 64
_MAX_VALUE = 500

_KEY = re.compile(r"([A-Za-z_][\w .-]{0,63}?)\s*:(?:\s+(.*))?")
_COMMENT = re.compile(r"\s#.*$")
_FLOW_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,]+)""")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """Where the front matter ends in the text (0: there is none), and its keys in lower case."""

    end: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_front_matter(text: str) -> FrontMatter:
    """The front matter of a text that begins with a line `---`, closed by `---` or `...`."""
    if not text.startswith("---"):
        return FrontMatter()
    lines = text.split("\n", _MAX_LINES)[:_MAX_LINES]
    if lines[0].rstrip() != "---":
        return FrontMatter()
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() in ("---", "..."):
            end = min(sum(len(earlier) + 1 for earlier in lines[: number + 1]), len(text))
            metadata = _flat_keys(lines[1:number])
            return FrontMatter(end, metadata) if metadata else FrontMatter()
    return FrontMatter()


def _flat_keys(lines: list[str]) -> dict[str, str]:
    entries: list[_Entry] = []
    for line in lines:
        match = _KEY.fullmatch(line)
        if match is not None:
            entries.append(_Entry(match[1].lower(), (match[2] or "").strip()))
        elif entries and line.strip() and (line[0].isspace() or line.startswith("- ")):
            entries[-1].more.append(line.strip())
    values = {entry.key: entry.value()[:_MAX_VALUE] for entry in entries[:_MAX_KEYS]}
    return {key: value for key, value in values.items() if value}


@dataclass(slots=True)
class _Entry:
    """A key, what stands beside it, and the indented lines and list entries below it."""

    key: str
    beside: str
    more: list[str] = field(default_factory=list)

    def value(self) -> str:
        """The value on one line; nothing for a nested map."""
        if self.beside[:1] in ("|", ">"):
            return " ".join(self.more)
        if self.beside.startswith("["):
            return ", ".join(_flow_list(" ".join([self.beside, *self.more])))
        if self.beside:
            return _scalar(" ".join([self.beside, *self.more]))
        return ", ".join(_scalar(line[1:]) for line in self.more if line.startswith("- "))


def _flow_list(source: str) -> list[str]:
    items = (_scalar(item) for item in _FLOW_ITEM.findall(source.strip("[] ")))
    return [item for item in items if item]


def _scalar(source: str) -> str:
    source = source.strip()
    quote = source[:1]
    if quote in ('"', "'"):
        return source[1:].partition(quote)[0]
    return "" if source.startswith("#") else _COMMENT.sub("", source)
