"""Reads source code and configuration as it is: functions, classes and sections become headings over it.

Definitions are found by the line they begin on, by one pattern a family of languages, which is right for code
as people write it and cannot fail on code that does not compile. What stands directly above a definition
(comments, decorators) belongs to it. Nothing is parsed, imported or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ragstack.loading.encoding import decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers.base import OWN_CODE_BYTES, Reader
from ragstack.loading.readers.lined import trimmed
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, Element, ElementKind

_NAME = r"[A-Za-z_$][\w$]*"
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|sealed|override|virtual|"
    r"async|inline|constexpr|extern|open|data|partial|unsafe|suspend|declare|readonly|synchronized|native|"
    r"pub(?:\([^()\n]{1,40}\))?|const|implicit|case|inner|friend|explicit|mut|lazy)\s+)*"
)
_TYPES = (
    r"(?:class|interface|trait|enum|struct|record|object|namespace|module|impl|union|protocol|extension|type)"
)
_PYTHON = re.compile(rf"^([^\S\n]*)((?:async\s+)?def|class)\s+({_NAME})", re.MULTILINE)
_BRACES = re.compile(
    rf"^([^\S\n]*){_MODIFIERS}(?:"
    rf"({_TYPES})\s+(?:class\s+)?(?:<[^<>\n]{{0,80}}>\s*)?({_NAME}(?:[^\S\n]+for[^\S\n]+{_NAME})?)"
    rf"|(?:function\*?|fun|func|fn|def|sub)\s+(?:\([^()\n]{{0,120}}\)\s*)?({_NAME})"
    rf"|(?:const|let|var)\s+({_NAME})\s*=\s*(?:async\s*)?(?:function\b|\([^()\n]{{0,200}}\)[^=\n]{{0,80}}=>|{_NAME}\s*=>)"
    r")",
    re.MULTILINE,
)
# Languages after C name a function by its type and its parameters, so the rest of the line decides.
_NAMED_BY_TYPE = re.compile(
    rf"^([^\S\n]*){_MODIFIERS}((?:[A-Za-z_][\w:<>,&*\[\]?.]{{0,80}}[ \t]+[*&]{{0,3}}){{0,3}})"
    r"([A-Za-z_~][\w:~]{0,80})\(([^\n]*)",
    re.MULTILINE,
)
_STATEMENTS = frozenset(
    "if for while switch return else catch do try throw new await case sizeof using foreach lock elif delete "
    "typeof not and or in yield assert goto when with function".split()
)
_RUBY = re.compile(r"^([^\S\n]*)(def|class|module)\s+((?:self\.)?[\w:]+[?!=]?)", re.MULTILINE)
_SHELL = re.compile(
    r"^()(?:function\s+([\w:.-]+)|([\w:.-]+)[^\S\n]*\(\))[^\S\n]*(?:\(\))?[^\S\n]*\{?", re.MULTILINE
)
_SQL = re.compile(
    r"^([^\S\n]*)create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+)?"
    r"((?:materialized\s+)?(?:table|view|function|procedure|trigger|index|type))\s+(?:if\s+not\s+exists\s+)?([\w.\"`\[\]]+)",
    re.MULTILINE | re.IGNORECASE,
)
_FUNCTIONAL = re.compile(
    r"^([^\S\n]*)(defmodule|defp?|defmacro|module|data|class|instance|type)\s+([\w.!?']+)", re.MULTILINE
)
_ASSIGNED = re.compile(r"^([^\S\n]*)([\w.]+)\s*(?:<-|=)\s*function\b", re.MULTILINE)
_JULIA = re.compile(
    r"^([^\S\n]*)(function|macro|module|(?:mutable\s+)?struct|local\s+function)\s+([\w.:!]+)", re.MULTILINE
)
_SECTIONS = re.compile(r"^()\[{1,2}([^\[\]\n]{1,120})\]{1,2}[^\S\n]*(?:[#;][^\n]*)?$", re.MULTILINE)
_KEYS = re.compile(r"^()([A-Za-z_\"'][\w .\"'/-]{0,80}):(?=\s|$)", re.MULTILINE)
_TARGETS = re.compile(r"^()([\w./%$()-]{1,80})[^\S\n]*:(?!=)", re.MULTILINE)
_RULES = re.compile(r"^([^\S\n]*)([.#@\w&:\[*][^{}\n;]{0,200}?)[^\S\n]*\{[^\S\n]*$", re.MULTILINE)
_NOTHING = re.compile(r"(?!)()")


@dataclass(frozen=True, slots=True)
class Language:
    """How definitions look in a language: group 1 is the indentation, the last groups kind and name."""

    name: str
    definition: re.Pattern[str]


_LANGUAGES: Mapping[str, Language] = {
    suffix: Language(name, pattern)
    for name, pattern, suffixes in (
        ("python", _PYTHON, ".py .pyi .pyw"),
        ("javascript", _BRACES, ".js .mjs .cjs .jsx"),
        ("typescript", _BRACES, ".ts .mts .cts .tsx"),
        ("java", _BRACES, ".java"),
        ("kotlin", _BRACES, ".kt .kts"),
        ("scala", _BRACES, ".scala"),
        ("groovy", _BRACES, ".groovy .gradle"),
        ("c", _BRACES, ".c .h"),
        ("cpp", _BRACES, ".cc .cpp .cxx .hh .hpp .hxx"),
        ("csharp", _BRACES, ".cs"),
        ("go", _BRACES, ".go"),
        ("rust", _BRACES, ".rs"),
        ("php", _BRACES, ".php"),
        ("swift", _BRACES, ".swift"),
        ("dart", _BRACES, ".dart"),
        ("protobuf", _BRACES, ".proto"),
        ("perl", _BRACES, ".pl .pm"),
        ("ruby", _RUBY, ".rb"),
        ("shell", _SHELL, ".sh .bash .zsh"),
        ("sql", _SQL, ".sql"),
        ("elixir", _FUNCTIONAL, ".ex .exs"),
        ("haskell", _FUNCTIONAL, ".hs"),
        ("r", _ASSIGNED, ".r"),
        ("julia", _JULIA, ".jl"),
        ("lua", _JULIA, ".lua"),
        ("css", _RULES, ".css .scss .less"),
        ("toml", _SECTIONS, ".toml"),
        ("ini", _SECTIONS, ".ini .cfg .conf .properties"),
        ("yaml", _KEYS, ".yaml .yml"),
        ("make", _TARGETS, ".mk"),
        ("xml", _NOTHING, ".xsd .xsl .svg"),
        ("powershell", _BRACES, ".ps1 .psm1"),
        ("vue", _BRACES, ".vue .svelte"),
    )
    for suffix in suffixes.split()
}

_ABOVE = re.compile(r"[^\S\n]*(?:#(?!!)|//|/\*|\*|--|@|\"\"\"|;|%|\[[A-Z][\w(])")
_MAX_ABOVE = 60
_MAX_LEVEL = 6
_MAX_LINE = 2_000
"""Longer lines were written by programs; a definition in one is not looked for."""


def extract(data: bytes, name: str, _limits: Limits) -> Document:
    """The document of a file of source code."""
    refuse_other_formats(data)
    language = _LANGUAGES[f".{name.rpartition('.')[2].lower()}"]
    return _document(decode(data), language)


def parse(text: str) -> Document:
    """The document of source code of an unknown language."""
    return _document(text, Language("", _NOTHING))


def _document(text: str, language: Language) -> Document:
    return Document(
        text=text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        elements=tuple(_elements(text, language)),
        lines_are_original=True,
        metadata={"programming_language": language.name} if language.name else {},
    )


def _elements(text: str, language: Language) -> Iterator[Element]:
    """Each definition's beginning as a heading, and the code that follows it up to the next one."""
    position = 0
    outer: list[int] = []
    for match in _definitions(text, language.definition):
        start = max(position, _with_what_is_above(text, match.start()))
        end = _line_end(text, match.end())
        first, last = trimmed(text, start, end, keep_indent=True)
        if first >= last:
            continue
        yield from _code(text, position, first)
        indent = len(match[1].expandtabs(4))
        while outer and outer[-1] >= indent:
            outer.pop()
        outer.append(indent)
        yield Element(ElementKind.HEADING, first, last, min(len(outer), _MAX_LEVEL), _title(match))
        position = last
    yield from _code(text, position, len(text))


def _definitions(text: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """What the pattern finds line by line, so that no line costs more than its own length."""
    start = 0
    for line in text.splitlines(keepends=True) if pattern is not _NOTHING else ():
        end = start + len(line)
        if len(line) <= _MAX_LINE:
            match = pattern.match(text, start, end)
            if match is None and pattern is _BRACES:
                match = _named_by_type(text, start, end)
            if match is not None:
                yield match
        start = end


def _named_by_type(text: str, start: int, end: int) -> re.Match[str] | None:
    """A function as in C (`int main(void) {`) or a method (`render() {`), if the line begins one."""
    match = _NAMED_BY_TYPE.match(text, start, end)
    if match is None or match[3] in _STATEMENTS or _STATEMENTS.intersection(match[2].split()):
        return None
    rest = match[4].rstrip()
    if ";" in rest or "=>" in rest:
        return None
    begins_body = rest.endswith("{") or (
        rest.endswith(")") and text[end : end + 200].lstrip().startswith("{")
    )
    has_words_before = bool(text[match.end(1) : match.start(3)].strip())
    goes_on = has_words_before and (not rest or rest.endswith((",", "("))) and "=" not in rest
    return match if begins_body or goes_on else None


def _title(match: re.Match[str]) -> str:
    """The kind, where the language names one, and the name: `class Store`, `def open`, `main`."""
    named = match.groups()[2:3] if match.re is _NAMED_BY_TYPE else match.groups()[1:]
    return " ".join(" ".join(filter(None, named)).split())


def _with_what_is_above(text: str, start: int) -> int:
    """Where the comments and decorators directly above a line begin, else the line itself."""
    for _ in range(_MAX_ABOVE):
        above = text.rfind("\n", 0, max(start - 1, 0)) + 1
        if start == 0 or not _ABOVE.match(text, above, start):
            break
        start = above
    return start


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _code(text: str, start: int, end: int) -> Iterator[Element]:
    first, last = trimmed(text, start, end, keep_indent=True)
    first = max(first, start)
    if first < last:
        yield Element(ElementKind.CODE, first, last)


READER = Reader(
    name="source",
    version=1,
    suffixes=tuple(_LANGUAGES),
    media_type="text/x-source",
    extract=extract,
    parse=parse,
    unguarded_bytes=OWN_CODE_BYTES,
)
