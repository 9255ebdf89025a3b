"""Finds the headings above a place of a document, for whoever says where something stands.

How headings shape windows is decided in `structure` and `sections`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ragstack.records import Element, ElementKind


def enclosing_headings(elements: Iterable[Element], offset: int) -> tuple[str, ...]:
    """Titles of the headings that enclose `offset`, a heading itself included, outermost first.

    `elements` are those of a document, sorted.
    """
    path: list[Element] = []
    for element in elements:
        if element.start > offset:
            break
        if element.kind is ElementKind.HEADING:
            path = [*(outer for outer in path if outer.level < element.level), element]
    return tuple(heading.title for heading in path)
