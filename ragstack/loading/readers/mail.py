"""Reads messages (EML): the headers that people see, the body, and attachments by the rules of files.

A body that is there as text and as HTML is taken as text. Nothing that a message refers to is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email import policy
from email.message import EmailMessage, Message, MIMEPart
from email.parser import BytesParser

from ragstack.errors import LoadingError
from ragstack.loading.encoding import clean, decode
from ragstack.loading.limits import Limits
from ragstack.loading.readers import html, text
from ragstack.loading.readers.attachments import Attachments
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.xml_tree import one_line
from ragstack.loading.signatures import refuse_other_formats
from ragstack.records import Document, ElementKind

HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_DEPTH = 50
_SUFFIXES = {"message/rfc822": ".eml", "text/plain": ".txt", "text/html": ".html", "text/calendar": ".txt"}


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an EML file."""
    refuse_other_formats(data, "a message")
    try:
        message = BytesParser(policy=policy.default).parsebytes(data)
        headers = {name: _header(message, name) for name in HEADERS}
        if not any(headers.values()) and not message.keys():
            raise LoadingError("not a message, though its name says so: it has no headers")
        return _document(message, headers, limits)
    except RecursionError as error:
        raise LoadingError("nested too deeply for a message") from error


def _document(message: EmailMessage, headers: Mapping[str, str], limits: Limits) -> Document:
    composition = Composition()
    composition.add_blocks(header_blocks(headers))
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None and not body.is_multipart():
        composition.add_document(body_document(_content(body), is_html=body.get_content_subtype() == "html"))
    attachments = Attachments(composition, limits)
    attachments.add_all(_attached(message, body))
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=headers["Subject"] or None,
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=header_metadata(headers) | _date(message) | attachments.metadata(),
    )


def header_blocks(headers: Mapping[str, str]) -> Iterator[Block]:
    """The headers that are there: the subject as a heading, the others on lines of one paragraph."""
    if headers["Subject"]:
        yield Block(ElementKind.HEADING, headers["Subject"], 1)
    lines = (f"{name}: {value}" for name, value in headers.items() if value and name != "Subject")
    yield Block(ElementKind.PARAGRAPH, "\n".join(lines))


def header_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Author and recipients, as metadata."""
    named = {"author": headers["From"], "to": headers["To"]}
    return {key: value for key, value in named.items() if value}


def body_document(content: str, *, is_html: bool) -> Document:
    """The body of a message."""
    return html.parse(content) if is_html else text.parse(clean(content))


def _header(message: EmailMessage, name: str) -> str:
    try:
        return one_line(str(message.get(name, "")))
    except Exception:  # the header parser of the standard library raises many things on malformed headers
        return one_line(
            next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
        )


def _date(message: EmailMessage) -> dict[str, str]:
    try:
        parsed = message["Date"].datetime if message["Date"] is not None else None
    except Exception:  # as above; the date stays readable in the text
        return {}
    return {"date": parsed.isoformat()} if parsed is not None else {}


def _content(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    charset = part.get_content_charset()
    return decode(payload if isinstance(payload, bytes) else b"", declared=charset)


def _attached(message: MIMEPart, body: MIMEPart | None) -> Iterator[tuple[str, bytes]]:
    """The parts that are neither the body nor another form of it, (name, bytes) each."""
    waiting: list[tuple[MIMEPart, int]] = [(message, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise LoadingError("nested too deeply for a message")
        if part.get_content_maintype() == "multipart":
            parts = part.get_payload()
            inner = [each for each in parts if isinstance(each, MIMEPart)] if isinstance(parts, list) else []
            if part.get_content_subtype() == "alternative" and body in inner:
                continue
            waiting.extend((each, depth + 1) for each in reversed(inner))
        elif part is not body:
            yield _named(part)


def _named(part: MIMEPart) -> tuple[str, bytes]:
    kind = part.get_content_type()
    name = part.get_filename() or f"{part.get_content_maintype()}{_SUFFIXES.get(kind, '')}"
    if kind == "message/rfc822":
        inner = part.get_payload()
        message = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else part
        return (name if name.endswith(".eml") else f"{name}.eml"), message.as_bytes(policy=policy.compat32)
    payload = part.get_payload(decode=True)
    return name, payload if isinstance(payload, bytes) else b""


READER = Reader(
    name="mail",
    version=1,
    suffixes=(".eml",),
    media_type="message/rfc822",
    extract=extract,
)
