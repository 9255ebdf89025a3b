"""`--filter`: the words in which a user says which documents a question may be answered from.

Only parses; what a filter means is up to the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, time
from typing import Any

import click

from ragstack.cli.options import Decorated
from ragstack.errors import UsageError
from ragstack.records import Filter

_KEYS = ("path", "type", "since", "until", "document", "meta.NAME")
_CONDITION = re.compile(r"(?P<key>[a-z]+(?:\.[^=]+)?)=(?P<value>.+)", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def filter_option(command: Decorated) -> Decorated:
    """`--filter`, given to the command as `where`: a `Filter` that all its uses make together."""
    return click.option(
        "--filter",
        "where",
        multiple=True,
        metavar="CONDITION",
        callback=lambda _ctx, _parameter, conditions: parse_filter(conditions),
        help="Only these documents: a glob, or path=GLOB, type=pdf, since=2024-05-01, until=, document=ID,"
        " meta.NAME=VALUE. Repeatable: of one kind any holds, of several kinds all.",
    )(command)


def parse_filter(conditions: Sequence[str]) -> Filter:
    """The filter that these conditions make; raises `UsageError` for one that says nothing known."""
    found: dict[str, list[Any]] = {}
    for condition in conditions:
        field, value = _parse(condition)
        found.setdefault(field, []).append(value)
    return Filter(
        paths=tuple(found.get("paths", ())),
        media_types=tuple(found.get("media_types", ())),
        since=max(found["since"]) if "since" in found else None,
        until=min(found["until"]) if "until" in found else None,
        metadata=tuple(found.get("metadata", ())),
        documents=tuple(found.get("documents", ())),
    )


def _parse(condition: str) -> tuple[str, Any]:
    match = _CONDITION.fullmatch(condition)
    if match is None:
        if not condition or condition.endswith("="):
            raise _wrong(condition, "says nothing")
        return "paths", condition
    key, value = match["key"], match["value"]
    if key.startswith("meta."):
        return "metadata", (key.removeprefix("meta."), value)
    if key not in _PARSERS:
        raise _wrong(condition, f"has the unknown kind `{key}`")
    field, parse = _PARSERS[key]
    try:
        return field, parse(value)
    except ValueError as error:
        raise _wrong(condition, f"is not understood: give {_EXPECTED[key]}") from error


def _since(text: str) -> datetime:
    """A time without a zone is local."""
    return datetime.fromisoformat(text).astimezone()


def _until(text: str) -> datetime:
    """A day alone is meant to its end."""
    moment = datetime.fromisoformat(text)
    return (datetime.combine(moment, time.max) if _DATE.fullmatch(text) else moment).astimezone()


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "path": ("paths", str),
    "type": ("media_types", str),
    "since": ("since", _since),
    "until": ("until", _until),
    "document": ("documents", int),
}


_EXPECTED = {
    "since": "a date like 2025-01-31",
    "until": "a date like 2025-01-31",
    "document": "the number of a document",
}


def _wrong(condition: str, problem: str) -> UsageError:
    kinds = ", ".join(f"`{key}=`" for key in _KEYS)
    return UsageError(
        f"`--filter {condition}` {problem}",
        hint=f"write a glob or one of {kinds}; a path with `=` in it is written `path=a=b.md`",
    )
