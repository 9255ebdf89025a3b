"""What the XML formats of Microsoft Office share: their properties and the check of what an archive holds."""

from __future__ import annotations

import zipfile

from ragstack.errors import LoadingError
from ragstack.loading.readers.archive import member
from ragstack.loading.readers.xml_tree import common_metadata, parse_xml


def properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, author, dates and the like of an Office document; nothing when they are missing or damaged."""
    data = member(archive, "docProps/core.xml")
    if data is None:
        return {}
    try:
        return common_metadata(parse_xml(data, "list of properties"))
    except LoadingError:  # a document can be read without them
        return {}


def require_part(archive: zipfile.ZipFile, prefix: str, expected: str) -> None:
    """Raise LoadingError when no entry of the archive begins with `prefix`, as it does in `expected`."""
    if not any(name.startswith(prefix) for name in archive.namelist()):
        raise LoadingError(f"a ZIP archive, but not {expected}")
