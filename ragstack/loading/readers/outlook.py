"""Reads messages that Outlook saved (MSG) with python-oxmsg: headers, body, attachments, as `mail` does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email.header import decode_header, make_header
from typing import Any

from ragstack.errors import LoadingError, MissingExtraError
from ragstack.loading.limits import Limits
from ragstack.loading.readers.attachments import Attachments
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Composition
from ragstack.loading.readers.mail import body_document, header_blocks, header_metadata
from ragstack.loading.readers.xml_tree import one_line
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document

_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EXPECTED = "an Outlook message"


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an MSG file."""
    try:
        from oxmsg import Message
    except ImportError as error:
        raise MissingExtraError("reading MSG files", extra="msg") from error

    if not data.startswith(_COMPOUND_FILE):
        refuse_other_formats(data, _EXPECTED)
        raise LoadingError(f"not {_EXPECTED}, though its name says so")
    try:
        return _document(Message.load(io.BytesIO(data)), limits)
    except (OSError, KeyError, IndexError, ValueError, AssertionError) as error:
        raise LoadingError(f"damaged, or not {_EXPECTED}") from error


def _document(message: Any, limits: Limits) -> Document:
    sent = message.sent_date
    headers = {
        "From": _decoded(message.sender),
        "To": ", ".join(filter(None, map(_recipient, message.recipients))),
        "Cc": "",
        "Date": sent.isoformat(sep=" ") if sent else "",
        "Subject": one_line(message.subject),
    }
    composition = Composition()
    composition.add_blocks(header_blocks(headers))
    body = message.body or ""
    if body.strip():
        composition.add_document(body_document(body, is_html=False))
    elif message.html_body:
        composition.add_document(body_document(message.html_body, is_html=True))
    attachments = Attachments(composition, limits)
    attachments.add_all(_attached(message))
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=headers["Subject"] or None,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=header_metadata(headers)
        | ({"date": sent.isoformat()} if sent else {})
        | attachments.metadata(),
    )


def _attached(message: Any) -> Iterator[tuple[str, bytes]]:
    for attachment in message.attachments:
        yield attachment.file_name or "unnamed", attachment.file_bytes or b""


def _recipient(recipient: Any) -> str:
    name, address = _decoded(recipient.name), one_line(recipient.email_address)
    return f"{name} <{address}>" if name and address and name != address else name or address


def _decoded(value: str | None) -> str:
    """A header with its encoded words (RFC 2047) decoded, for Outlook keeps what it received."""
    try:
        return one_line(str(make_header(decode_header(value or ""))))
    except (LookupError, ValueError):
        return one_line(value)


READER = Reader(
    name="outlook",
    version=1,
    suffixes=(".msg",),
    media_type="application/vnd.ms-outlook",
    extract=extract,
)
