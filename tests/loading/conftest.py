"""Makes PDF files by hand, so that the tests need no program that writes them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ragstack.records import Document

FONTS = {"regular": "Helvetica", "bold": "Helvetica-Bold", "fixed": "Courier"}


@dataclass(frozen=True)
class Run:
    """Text at a place of a page, in points from its lower left corner."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 11
    font: str = "regular"


def paragraph(lines, top, *, leading=14.0, **style):
    """Runs for lines set one under the other."""
    return [Run(text, y=top - number * leading, **style) for number, text in enumerate(lines)]


def make_pdf(pages, *, info=None, outline=(), encrypted=False):
    """The bytes of a PDF with these pages of runs; `outline` are (title, page from 0) of its first level."""
    objects = {1: "<< /Type /Catalog /Pages 2 0 R /Outlines 9 0 R >>"}
    for number, font in enumerate(FONTS.values(), start=3):
        encoding = "/Encoding /WinAnsiEncoding"
        objects[number] = f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} {encoding} >>"
    resources = " ".join(f"/{name} {number} 0 R" for number, name in enumerate(FONTS, start=3))
    kids = []
    for number, runs in enumerate(pages):
        page, content = 20 + 2 * number, 21 + 2 * number
        kids.append(f"{page} 0 R")
        objects[page] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} 0 R"
            f" /Resources << /Font << {resources} >> >> >>"
        )
        stream = "\n".join(_shown(run) for run in runs)
        objects[content] = f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"
    objects[2] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    objects[8] = f"<< {' '.join(f'/{key} {_literal(value)}' for key, value in (info or {}).items())} >>"
    objects |= _outline(outline)
    return _file(objects, encrypted=encrypted)


def _shown(run):
    return f"BT /{run.font} {run.size} Tf {run.x} {run.y} Td {_literal(run.text)} Tj ET"


def _literal(text):
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"({escaped})"


def _outline(entries):
    first = 1000
    last = first + len(entries) - 1
    links = f"/First {first} 0 R /Last {last} 0 R /Count {len(entries)}" if entries else ""
    objects = {9: f"<< /Type /Outlines {links} >>"}
    for number, (title, page) in enumerate(entries):
        this = first + number
        siblings = f"/Prev {this - 1} 0 R " if number else ""
        siblings += f"/Next {this + 1} 0 R" if this < last else ""
        objects[this] = (
            f"<< /Title {_literal(title)} /Parent 9 0 R {siblings} /Dest [{20 + 2 * page} 0 R /Fit] >>"
        )
    return objects


def _file(objects, *, encrypted):
    body = bytearray(b"%PDF-1.4\n")
    offsets = {}
    for number in sorted(objects):
        offsets[number] = len(body)
        body += f"{number} 0 obj\n{objects[number]}\nendobj\n".encode("cp1252")
    start = len(body)
    body += b"xref\n0 1\n0000000000 65535 f \n"
    for number, offset in offsets.items():
        body += f"{number} 1\n{offset:010d} 00000 n \n".encode()
    # Random keys: no password, the empty one included, opens the file.
    security = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'5a' * 32}> /U <{'a5' * 32}> >>"
    identity = f"/ID [<{'01' * 16}> <{'01' * 16}>]"
    trailer = f"/Root 1 0 R /Info 8 0 R /Size {max(objects) + 1} {identity}"
    body += f"trailer\n<< {trailer} {security if encrypted else ''} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(body)


@pytest.fixture(name="make_pdf", scope="session")
def _make_pdf():
    return make_pdf


@pytest.fixture(name="run", scope="session")
def _run():
    return Run


@pytest.fixture(name="lines", scope="session")
def _lines():
    return paragraph


@pytest.fixture(scope="session")
def check():
    """Checks what holds of every document."""
    return check_document


def check_document(document: Document) -> None:
    """Assert that a document keeps the promises of `records.Document`."""
    text = document.text
    assert "\0" not in text
    assert "\r" not in text
    text.encode("utf-8")  # fails on a lone surrogate
    end = 0
    for element in document.elements:
        assert end <= element.start < element.end <= len(text)
        assert text[element.start : element.end].strip()
        assert (element.kind == "heading") == (element.level > 0)
        assert bool(element.level) == bool(element.title)
        assert "\n" not in element.title
        end = element.end
    starts = [landmark.start for landmark in document.landmarks]
    assert starts == sorted(set(starts))
    assert all(0 <= start < len(text) for start in starts)
    assert document.title is None or document.title.strip()
    assert all(isinstance(value, str) and value for value in document.metadata.values())
