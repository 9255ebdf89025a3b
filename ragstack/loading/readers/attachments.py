"""Reads what is attached to a message with the readers that read files, and says what could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ragstack.errors import LoadingError, RagstackError
from ragstack.loading.limits import Limits
from ragstack.loading.readers.blocks import Composition
from ragstack.loading.readers.xml_tree import one_line
from ragstack.records import Document, Landmark

_MAX_ATTACHMENTS = 200
_MAX_METADATA = 500


@dataclass(slots=True)
class Attachments:
    """Adds attachments to a composition, and keeps the names of those that stay out of it, with reasons."""

    composition: Composition
    limits: Limits
    refused: list[str] = field(default_factory=list)

    def add_all(self, attachments: Iterable[tuple[str, bytes]]) -> None:
        """Add attachments, (name, bytes) each."""
        for number, (name, data) in enumerate(attachments):
            label = one_line(name) or "unnamed"
            if number >= _MAX_ATTACHMENTS:
                self.refused.append(f"{label}: more than {_MAX_ATTACHMENTS} attachments")
                return
            self._add(label, data)

    def _add(self, name: str, data: bytes) -> None:
        if self.composition.length > self.limits.characters:
            return  # `readers.extract` refuses what is there already
        try:
            document = _read(data, name, self.limits)
        except RagstackError as error:
            self.refused.append(f"{name}: {error.message}")
            return
        inner = [
            Landmark(each.start, "attachment", f"{name} {each.kind} {each.label}")
            for each in document.landmarks
        ]
        if "not_read" in document.metadata:
            self.refused.append(f"in {name}: {document.metadata['not_read']}")
        self.composition.mark("attachment", name)
        self.composition.add(document.text, document.elements, inner)

    def metadata(self) -> dict[str, str]:
        """What could not be read, for the document's metadata."""
        return {"not_read": "; ".join(self.refused)[:_MAX_METADATA]} if self.refused else {}


def _read(data: bytes, name: str, limits: Limits) -> Document:
    """The document of an attachment; messages within messages end at a depth that `limits` counts down."""
    from ragstack.loading import readers

    if limits.attachment_depth <= 0:
        raise LoadingError("attached to an attachment of an attachment, too deep to be read")
    return readers.extract(data, name, replace(limits, attachment_depth=limits.attachment_depth - 1))
