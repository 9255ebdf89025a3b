"""The structure of a document as the store keeps it, to be chunked again without its file: JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ragstack.records import Element, ElementKind
from ragstack.store.connections import decoding


def elements_to_json(elements: Iterable[Element]) -> str:
    """What `DocumentStructure` keeps."""
    return json.dumps([[e.kind, e.start, e.end, e.level, e.title] for e in elements])


def elements_from_json(value: str) -> tuple[Element, ...]:
    """The elements that `DocumentStructure` keeps."""
    with decoding("the structure of a document"):
        return tuple(
            Element(ElementKind(kind), start, end, level, title)
            for kind, start, end, level, title in json.loads(value)
        )
