"""Parses the XML parts of office documents and e-books, without entities, and reads their common metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Node

_DECLARES = re.compile(rb"<!ENTITY", re.IGNORECASE)
_MAX_VALUE = 500

_DUBLIN_CORE = {
    "title": "title",
    "creator": "author",
    "initial-creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "keyword": "keywords",
    "description": "description",
    "language": "language",
    "date": "date",
    "created": "created",
    "creation-date": "created",
    "modified": "modified",
    "publisher": "publisher",
}


def parse_xml(data: bytes, part: str) -> Node:
    """The root of the XML in `data`; `part` names it in the reason of a refusal.

    No document format needs entities of its own, and every attack by them declares some, so that is refused.
    expat limits what a declaration in another encoding could still expand to (since 2.4); it fetches nothing.
    """
    from xml.etree.ElementTree import ParseError, fromstring

    refuse_entities(data, part)
    try:
        return fromstring(data)  # noqa: S314 - guarded by the line above, expat's limits and the child process
    except (ParseError, ValueError, LookupError) as error:
        raise LoadingError(f"its {part} is no valid XML") from error


def refuse_entities(data: bytes, part: str) -> None:
    """Raise LoadingError when XML declares entities; `part` names it."""
    if _DECLARES.search(data):
        raise LoadingError(f"its {part} declares XML entities, which are never resolved")


def local_name(node: Node) -> str:
    """The tag of a node without its namespace; nothing for comments and instructions."""
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(node: Node, name: str) -> str | None:
    """The value of an attribute by its name without a namespace."""
    if name in node.attrib:
        return node.attrib[name]
    return next((value for key, value in node.attrib.items() if key.rpartition("}")[2] == name), None)


def one_line(text: str | None) -> str:
    """Clean text on one line, of at most 500 characters."""
    return " ".join(clean(text or "").split())[:_MAX_VALUE]


def common_metadata(root: Node) -> dict[str, str]:
    """Title, author, dates and the like from the Dublin Core of an office document or an e-book."""
    metadata: dict[str, str] = {}
    for node in root.iter():
        name = _DUBLIN_CORE.get(local_name(node).lower())
        value = one_line(node.text)
        if name and value:
            several = [metadata[name], value] if name == "author" and name in metadata else [value]
            metadata[name] = (
                ", ".join(several)[:_MAX_VALUE] if len(several) > 1 else metadata.get(name, value)
            )
    return metadata


def without_title(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata but the title, which has a field of its own in a document."""
    return {key: value for key, value in metadata.items() if key != "title"}
