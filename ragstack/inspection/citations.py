"""Opens a citation by its identity: the cited text as it was, and what has become of its document.

An identity names a version of a document, so that a citation written down earlier either still means the same
characters or is known not to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ragstack.errors import NotInStoreError, UsageError
from ragstack.records import Location

if TYPE_CHECKING:
    from ragstack.store.catalog import DocumentInfo
    from ragstack.store.protocols import ReadSession
    from ragstack.system import RAGSystem

_IDENTITY = re.compile(
    r"(?P<document>\d{1,18})@(?P<hash>[0-9a-f]{8,64}):(?P<start>\d{1,12})-(?P<end>\d{1,12})"
)


class CitationState(StrEnum):
    """What has become of a cited document."""

    CURRENT = "as cited"
    CHANGED = "the document has changed since"
    REMOVED = "the document is no longer in the store"


@dataclass(frozen=True, slots=True)
class CitationView:
    """A citation opened. `text` is None when the cited version is in neither the store nor the history.

    `path` and `location` are those of the document as it is now, if it is there; `location` only where it is
    the cited version.
    """

    identity: str
    state: CitationState
    document_id: int
    start: int
    end: int
    path: str | None
    location: Location
    text: str | None


def citation(system: RAGSystem, identity: str) -> CitationView:
    """What the citation `identity` refers to. Raises UsageError for what is no identity."""
    match = _IDENTITY.fullmatch(identity.strip())
    if match is None or int(match["start"]) >= int(match["end"]):
        raise UsageError(
            f"`{identity}` is no citation",
            hint="copy one from the end of a line of `Sources:`, like 12@3fa9c1d2e0b4:0-80",
        )
    document_id, start, end = int(match["document"]), int(match["start"]), int(match["end"])
    with system.store.read() as snapshot:
        info = _document(snapshot, document_id)
        state = _state(info, match["hash"])
        if state is CitationState.CURRENT and info is not None and end <= info.characters:
            text = snapshot.read_text(document_id, start, end)
            location = snapshot.locate(document_id, start, end)
            return CitationView(identity, state, document_id, start, end, info.path, location, text)
    kept = system.history.shown_text(document_id, match["hash"], start, end)
    path = info.path if info else None
    return CitationView(identity, state, document_id, start, end, path, Location(), kept)


def _document(snapshot: ReadSession, document_id: int) -> DocumentInfo | None:
    try:
        return snapshot.document_info(document_id)
    except NotInStoreError:
        return None


def _state(info: DocumentInfo | None, digits: str) -> CitationState:
    if info is None:
        return CitationState.REMOVED
    return CitationState.CURRENT if info.content_hash.startswith(digits) else CitationState.CHANGED
