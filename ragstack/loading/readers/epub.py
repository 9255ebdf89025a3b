"""Reads e-books (EPUB): the parts of the book in reading order, each by the HTML reader, and its metadata."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ragstack.errors import LoadingError
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers import html
from ragstack.loading.readers.archive import member, open_archive
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Composition
from ragstack.loading.readers.xml_tree import attribute, common_metadata, local_name, parse_xml, without_title
from ragstack.records import Document

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element as Node

_EXPECTED = "an EPUB book"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an EPUB file."""
    composition = Composition()
    with open_archive(data, limits, _EXPECTED) as archive:
        path, package = _package(archive)
        metadata = common_metadata(
            next((node for node in package if local_name(node) == "metadata"), package)
        )
        parts = list(_parts(package, posixpath.dirname(path)))
        if len(parts) > limits.pages:
            raise too_many(len(parts), "parts", limits)
        for number, name in enumerate(parts, start=1):
            content = member(archive, name)
            if content is not None:
                composition.mark("part", str(number))
                composition.add_document(html.extract(content, "part.xhtml", limits))
        if not composition.pieces and "META-INF/encryption.xml" in archive.namelist():
            raise LoadingError("encrypted by its publisher, which cannot be read")
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title"),
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=without_title(metadata) | {"parts": str(len(parts))},
    )


def _package(archive: zipfile.ZipFile) -> tuple[str, Node]:
    """Path and root of the package document, which the container names (EPUB OCF 3.3)."""
    container = member(archive, "META-INF/container.xml")
    if container is None:
        raise LoadingError(f"a ZIP archive, but not {_EXPECTED}")
    for node in parse_xml(container, "container").iter():
        path = attribute(node, "full-path")
        package = member(archive, path) if path else None
        if path and package is not None:
            return path, parse_xml(package, "package")
    raise LoadingError(f"damaged, or not {_EXPECTED}")


def _parts(package: Node, folder: str) -> Iterator[str]:
    """The names of the parts in reading order."""
    items = {
        attribute(node, "id"): node
        for node in package.iter()
        if local_name(node) == "item" and attribute(node, "media-type") in _PAGES
    }
    for node in package.iter():
        item = items.get(attribute(node, "idref")) if local_name(node) == "itemref" else None
        if item is not None and "nav" not in (attribute(item, "properties") or "").split():
            yield posixpath.normpath(posixpath.join(folder, unquote(attribute(item, "href") or "")))


READER = Reader(
    name="epub",
    version=1,
    suffixes=(".epub",),
    media_type="application/epub+zip",
    extract=extract,
)
