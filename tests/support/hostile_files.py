"""A folder that nobody should trust: every kind of file that has hung, filled or fooled a program like this.

Each kind is made small or (`large`) at the size that did the damage, and says what must become of it: read,
skipped, or failed for a reason that names the cause. Sources: CVEs and measurements of parsers, which the
names of the kinds hint at. Everything is made here; nothing hostile is kept in the repository.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sample_files
from sample_files import SAMPLES, archive

READ, SKIPPED, FAILED = "read", "skipped", "failed"
GOOD = {"good/lighthouse.md": "# Lighthouse\n\nThe lamp of the lighthouse burns colza oil.\n"}


@dataclass(frozen=True)
class Hostile:
    """One entry of the folder: its path, how it is made, and what may become of it and why."""

    path: str
    make: Callable[[Path, bool], None]
    outcomes: Sequence[str]
    reason: str = ""
    needs_posix: bool = False

    @property
    def reported(self) -> str:
        """The path as a walk reports it: bytes that are no text in hexadecimal."""
        return os.fsencode(self.path).decode("utf-8", errors="backslashreplace")

    def accepts(self, outcome: str, reason: str) -> bool:
        return outcome in self.outcomes and (outcome == READ or re.search(self.reason, reason) is not None)


def make_folder(root: Path, *, large: bool = False, only: Sequence[Hostile] | None = None) -> list[Hostile]:
    """Fill `root` with one of every kind that this system can make, and good files; returns the kinds."""
    for name, content in GOOD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    made = []
    for kind in only if only is not None else KINDS:
        if kind.needs_posix and os.name != "posix":
            continue
        path = root / kind.path
        path.parent.mkdir(parents=True, exist_ok=True)
        kind.make(path, large)
        made.append(kind)
    return made


# ------------------------------------------------------------------ helpers that write


def _bytes(content: bytes | Callable[[], bytes]) -> Callable[[Path, bool], None]:
    return lambda path, _large: path.write_bytes(content() if callable(content) else content) and None


def _sized(make: Callable[[int], bytes], small: int, large: int) -> Callable[[Path, bool], None]:
    return lambda path, is_large: path.write_bytes(make(large if is_large else small)) and None


def _link(target: str) -> Callable[[Path, bool], None]:
    return lambda path, _large: path.symlink_to(target)


def _sparse(path: Path, _large: bool) -> None:
    with path.open("wb") as file:
        file.write(b"%PDF-1.4\n")
        file.truncate(10 * 1024**3)


def _hard_link(path: Path, _large: bool) -> None:
    other = path.parent / "hard-twin.txt"
    other.write_text("The twin has two names.\n")
    os.link(other, path)


def _socket(path: Path, _large: bool) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has at most 107 bytes
        try:
            opened.bind(path.name)
        finally:
            os.chdir(here)


def _unreadable(path: Path, _large: bool) -> None:
    path.write_text("secret\n")
    path.chmod(0)


def _many(path: Path, large: bool) -> None:
    """`path` and 99,999 (200) more tiny files beside it."""
    path.write_text("tiny 0\n")
    for number in range(1, 100_000 if large else 200):
        (path.parent / f"t{number}.txt").write_text(f"tiny {number % 50}\n")


def _deep_folders(path: Path, _large: bool) -> None:
    for _ in range(60):
        path = path / "d"
    path.mkdir(parents=True)
    (path / "bottom.txt").write_text("At the bottom.\n")


# --------------------------------------------------------------------------- archives


def _word(body: str) -> bytes:
    return sample_files.docx(body)


def _word_with(part: str, content: bytes | str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(SAMPLES["ferry.docx"]())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    return archive({**parts, part: content})


def _entities(system: str) -> str:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{levels}<!ENTITY x SYSTEM "{system}">]>'
        f'<w:document xmlns:w="{sample_files.WORD}"><w:body><w:p><w:r><w:t>&l9;&x;</w:t></w:r></w:p></w:body>'
        "</w:document>"
    )


def _nested_tables(depth: int) -> bytes:
    return _word("<w:tbl><w:tr><w:tc>" * depth + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * depth)


def _parts_bomb(size: int) -> bytes:
    """Parts that are each below the limit of expansion, and far above that of all together."""
    block = os.urandom(size // 90) + bytes(size - size // 90)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for number in range(60):
            opened.writestr(f"xl/worksheets/sheet{number}.xml", block)
    return stream.getvalue()


def _lying_archive() -> bytes:
    """An archive whose directory declares a few bytes for a part that has millions."""
    data = bytearray(_word_with("word/document.xml", b"<w:a>" + b" " * 3_000_000))
    place = data.find(b"word/document.xml", data.find(b"PK\x01\x02"))
    data[place - 46 + 24 : place - 46 + 28] = struct.pack("<I", 10)
    return bytes(data)


def _far_corner() -> bytes:
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1048576"><c r="XFD1048576"><v>8</v></c></row></sheetData></worksheet>'
    )
    with zipfile.ZipFile(io.BytesIO(SAMPLES["stock.xlsx"]())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    return archive({**parts, "xl/worksheets/sheet1.xml": sheet})


def _repeated_rows() -> bytes:
    with zipfile.ZipFile(io.BytesIO(SAMPLES["stock.ods"]())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    content = parts["content.xml"].decode()
    content = content.replace(
        "<table:table-row>", '<table:table-row table:number-rows-repeated="1000000000">'
    )
    content = content.replace(
        "<table:table-cell ", '<table:table-cell table:number-columns-repeated="1000000000" '
    )
    return archive({**parts, "content.xml": content})


def _many_spaces() -> bytes:
    with zipfile.ZipFile(io.BytesIO(SAMPLES["locks.odt"]())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    content = parts["content.xml"].decode().replace("<text:s/>", '<text:s text:c="2000000000"/>')
    return archive({**parts, "content.xml": content})


def _book(chapter: bytes | str, href: str = "text/c1.xhtml") -> bytes:
    with zipfile.ZipFile(io.BytesIO(SAMPLES["light.epub"]())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    parts["OPS/book.opf"] = parts["OPS/book.opf"].replace(b"text/c1.xhtml", href.encode())
    return archive({**parts, "OPS/text/c1.xhtml": chapter})


# -------------------------------------------------------------------------------- PDF


def _pdf(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    numbered = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, each) for n, each in enumerate(objects, start=1))
    return b"%PDF-1.7\n" + numbered + b"trailer<<" + trailer + b">>\n%%EOF\n"


_CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
_PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</XObject<</F 4 0 R>>>>>>"


def _stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), entries, content)


def _pdf_stream_bomb(size: int) -> bytes:
    drawing = zlib.compressobj(9)
    packed = b"".join(drawing.compress(b"0 0 m 9 9 l S " * 75_000) for _ in range(size)) + drawing.flush()
    return _pdf(_CATALOG, _PAGES, _PAGE, _stream(packed, b"/Filter/FlateDecode"))


def _pdf_nested_flate(layers: int) -> bytes:
    content = bytes(10_000_000)
    for _ in range(layers):
        content = zlib.compress(content, 9)
    return _pdf(_CATALOG, _PAGES, _PAGE, _stream(content, b"/Filter[" + b"/FlateDecode" * layers + b"]"))


def _pdf_recursive_form() -> bytes:
    form = _stream(
        b"/F Do /F Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 4 0 R>>>>"
    )
    return _pdf(_CATALOG, _PAGES, _PAGE, form)


def _pdf_of_pages(count: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(3, 3 + count))
    pages = b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count)
    return _pdf(_CATALOG, pages, *[b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"] * count)


def _pdf_page_loop() -> bytes:
    return _pdf(_CATALOG, b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 1000000000>>", _PAGE, _stream(b""))


def _pdf_with_actions() -> bytes:
    text = _stream(b"BT /F1 12 Tf 10 50 Td (Tide tables are sold here) Tj ET")
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 299 99]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>"
        b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(http://127.0.0.1:9/)>>>>]>>"
    )
    catalog = (
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.launchURL('http://127.0.0.1:9/'))>>>>"
    )
    return _pdf(catalog, _PAGES, page, text, font)


# ------------------------------------------------------------------------------- text


def _deep_mail(depth: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number)
        for number in range(depth)
    )
    return b"Subject: deep\nFrom: a@b.c\n" + head + b"Content-Type: text/plain\n\nwords\n"


def _mail_with_bomb() -> bytes:
    bomb = archive({"word/document.xml": bytes(30_000_000)})
    return sample_files.sample_eml(attachments={"bomb.docx": bomb})


def _notebook_of(depth: int) -> bytes:
    return b'{"cells": ' + b"[" * depth + b"]" * depth + b"}"


_BUSY = r"took longer|memory|crashed|gave up|nested too deeply|recursion|failed|damaged|unpacks|no text found"
_TEXT = "The harbour master counts boats. "

KINDS: tuple[Hostile, ...] = (
    # what is no file
    Hostile("pipe.txt", lambda path, _: os.mkfifo(path), [SKIPPED], "not a regular file", needs_posix=True),
    Hostile("socket.txt", _socket, [SKIPPED], "not a regular file", needs_posix=True),
    Hostile("endless.txt", _link("/dev/zero"), [SKIPPED], "symbolic link", needs_posix=True),
    Hostile("passwords.txt", _link("/etc/passwd"), [SKIPPED], "symbolic link", needs_posix=True),
    Hostile("loop", _link("."), [SKIPPED], "symbolic link", needs_posix=True),
    Hostile("self.txt", _link("self.txt"), [SKIPPED], "symbolic link", needs_posix=True),
    Hostile("up", _link("../.."), [SKIPPED], "symbolic link", needs_posix=True),
    Hostile("hard.txt", _hard_link, [READ], needs_posix=True),
    Hostile("sparse.pdf", _sparse, [FAILED], "larger than the limit", needs_posix=True),
    Hostile("unreadable.txt", _unreadable, [FAILED, READ], "permission denied", needs_posix=True),  # root may
    Hostile("deep", _deep_folders, [READ]),
    Hostile("many/t0.txt", _many, [READ]),
    # names
    Hostile("escape\x1b[2Jname.txt", _bytes(b"A name with escapes.\n"), [READ], needs_posix=True),
    Hostile("right\u202etxt.exe.txt", _bytes(b"A name from right to left.\n"), [READ]),
    Hostile("line\nbreak.txt", _bytes(b"A name on two lines.\n"), [READ], needs_posix=True),
    Hostile("not-\udcff-unicode.txt", _bytes(b"words\n"), [FAILED], "not valid Unicode", needs_posix=True),
    Hostile("l" * 240 + ".txt", _bytes(b"A long name.\n"), [READ]),
    Hostile("-rf --prune.txt", _bytes(b"A name like an option.\n"), [READ]),
    Hostile("[bold red]markup[/].txt", _bytes(b"A name with markup.\n"), [READ]),
    # secrets
    Hostile(".env", _bytes(b"PASSWORD=harbour\n"), [SKIPPED], "hidden"),
    Hostile("id_rsa.txt", _bytes(b"-----BEGIN KEY-----\n"), [SKIPPED], "secret"),
    Hostile("credentials.json", _bytes(b'{"password": "harbour"}\n'), [SKIPPED], "secret"),
    # text that is not what it seems
    Hostile("empty.txt", _bytes(b""), [READ]),
    Hostile("empty.pdf", _bytes(b""), [FAILED], "empty"),
    Hostile("empty.docx", _bytes(b""), [FAILED], "empty"),
    Hostile("nul.txt", _bytes(b"words\0words\n" * 9), [SKIPPED], "NUL"),
    Hostile("bad-utf8.txt", _bytes(b"\xc3\x28 \xff\xfe\xfd words \xed\xa0\x80 words\n" * 20), [READ]),
    Hostile("controls.txt", _bytes("\x1b]52;c;aGk=\x07\x1b[31mred \u202eback \u2066in\n".encode()), [READ]),
    Hostile("image.txt", _bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), [FAILED, SKIPPED], "PNG image|NUL"),
    Hostile("program.md", _bytes(b"\x7fELF" + bytes(99)), [FAILED, SKIPPED], "a program|NUL"),
    Hostile("packed.csv", _bytes(b"\x1f\x8b\x08" + b"a" * 99), [FAILED], "gzip"),
    Hostile("office.html", _bytes(b"PK\x03\x04" + b"a" * 99), [FAILED], "ZIP archive"),
    Hostile("one-line.txt", _sized(lambda size: b"a" * size, 200_000, 20_000_000), [READ, FAILED], "chunks"),
    Hostile(
        "one-line.py",
        _sized(lambda size: b"def f(" + b"(" * size, 100_000, 2_000_000),
        [READ, FAILED],
        "chunks",
    ),
    Hostile(
        "deep.json",
        _sized(lambda size: b"[" * size + b"]" * size, 20_000, 1_000_000),
        [READ, FAILED],
        "chunks",
    ),
    Hostile("number.json", _sized(lambda size: b'{"a": ' + b"9" * size + b"}", 50_000, 2_000_000), [READ]),
    Hostile("laughs.xml", _bytes(_entities("file:///etc/passwd").encode()), [READ]),
    Hostile(
        "quote.csv",
        _sized(lambda size: b'a,b\n"' + b"1,2\n" * size, 20_000, 2_000_000),
        [READ, FAILED],
        "memory|rows",
    ),
    Hostile("columns.csv", _sized(lambda size: b"a," * size + b"\n" + b"1," * size, 5_000, 200_000), [READ]),
    Hostile("quoted.md", _sized(lambda size: b">" * size + b" a", 5_000, 2_000_000), [READ, FAILED], _BUSY),
    Hostile("brackets.md", _sized(lambda size: b"# " + b"[" * size, 5_000, 1_000_000), [READ, FAILED], _BUSY),
    Hostile(
        "lists.md",
        _sized(lambda size: b"".join(b" " * n + b"- a\n" for n in range(size)), 200, 2_000),
        [READ],
    ),
    Hostile("begun.tex", _sized(lambda size: b"\\begin{verbatim} " * size, 5_000, 1_000_000), [READ]),
    Hostile("ruled.rst", _sized(lambda size: b"====  ====\n" * size, 5_000, 500_000), [READ]),
    Hostile(
        "cue.srt",
        _sized(lambda size: b"1\n00:00:01,000 --> 00:00:02,000\n" + b"<" * size, 20_000, 5_000_000),
        [READ],
    ),
    Hostile(
        "divs.html", _sized(lambda size: b"<div>" * size + b"words", 60_000, 200_000), [READ, FAILED], _BUSY
    ),
    Hostile(
        "flat.html",
        _sized(lambda size: b"<p>words" * size, 20_000, 2_500_000),
        [READ, FAILED],
        _BUSY + "|chunks",
    ),
    Hostile("fetch.html", _bytes(b"<img src=http://127.0.0.1:9/a><script>x()</script><p>Boats</p>"), [READ]),
    Hostile(
        "groups.rtf", _sized(lambda size: b"{\\rtf1 " + b"{" * size, 20_000, 1_000_000), [READ, FAILED], _BUSY
    ),
    Hostile(
        "unicode.rtf", _bytes(b"{\\rtf1 \\u99999999999? \\'zz \\bin999999999 words}"), [READ, FAILED], _BUSY
    ),
    # notebooks and mail
    Hostile(
        "deep.ipynb", _sized(_notebook_of, 20_000, 1_000_000), [FAILED], "nested too deeply|not a notebook"
    ),
    Hostile("list.ipynb", _bytes(b"[1, 2]"), [FAILED], "not a notebook"),
    Hostile(
        "odd.ipynb",
        _bytes(json.dumps({"cells": [1, None, {"source": {"a": 1}}]}).encode()),
        [READ, FAILED],
        "no text",
    ),
    Hostile("deep.eml", _sized(_deep_mail, 200, 2_000), [READ, FAILED], "nested too deeply|no text"),
    Hostile("bomb.eml", _bytes(_mail_with_bomb), [READ]),
    Hostile(
        "headers.eml",
        _bytes(
            b"Subject: =?utf-8?b?"
            + base64.b64encode(b"\xff" * 99)
            + b"?=\nDate: never\nFrom: <<>>,,;\nContent-Type: text/plain; charset=no-such\n\nwords\n"
        ),
        [READ],
    ),
    # PDF
    Hostile("stream.pdf", _sized(_pdf_stream_bomb, 60, 1_000), [FAILED], _BUSY),
    Hostile("flate.pdf", _bytes(lambda: _pdf_nested_flate(3)), [FAILED], _BUSY),
    Hostile("form.pdf", _bytes(_pdf_recursive_form), [FAILED], _BUSY),
    Hostile("pages.pdf", _sized(_pdf_of_pages, 6_000, 20_000), [FAILED], r"has [\d,]+ pages"),
    Hostile("page-loop.pdf", _bytes(_pdf_page_loop), [FAILED], _BUSY + r"|has [\d,]+ pages"),
    Hostile("random.pdf", _bytes(b"%PDF-1.7\n" + bytes(range(256)) * 50), [FAILED], "damaged"),
    Hostile("not-a.pdf", _bytes(b"words"), [FAILED], "not a PDF"),
    Hostile("actions.pdf", _bytes(_pdf_with_actions), [READ]),
    # office documents
    Hostile(
        "bomb.docx",
        _sized(lambda size: archive({"word/document.xml": bytes(size)}), 20_000_000, 1_000_000_000),
        [FAILED],
        "unpacks",
    ),
    Hostile("bomb.xlsx", _sized(_parts_bomb, 10_000_000, 20_000_000), [FAILED], "unpacks to"),
    Hostile(
        "laughs.docx",
        _bytes(lambda: _word_with("word/document.xml", _entities("file:///etc/passwd"))),
        [FAILED],
        "entities",
    ),
    Hostile("deep.docx", _sized(_nested_tables, 2_000, 30_000), [FAILED], _BUSY),
    Hostile("lying.docx", _bytes(_lying_archive), [FAILED], _BUSY),
    Hostile("cut.docx", _bytes(lambda: SAMPLES["ferry.docx"]()[:900]), [FAILED], "damaged"),
    Hostile("other.docx", _bytes(lambda: archive({"a.txt": "words"})), [FAILED], "not a DOCX"),
    Hostile(
        "locked.docx",
        _bytes(lambda: sample_files.compound_file({"EncryptedPackage": bytes(5_000)})),
        [FAILED],
        "password",
    ),
    Hostile("corner.xlsx", _bytes(_far_corner), [READ, FAILED], _BUSY),
    Hostile("repeated.ods", _bytes(_repeated_rows), [READ, FAILED], _BUSY),
    Hostile("spaces.odt", _bytes(_many_spaces), [READ]),
    Hostile(
        "random.xls",
        _bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(range(256)) * 20),
        [FAILED],
        "damaged|failed",
    ),
    Hostile("cut.msg", _bytes(lambda: SAMPLES["fees.msg"]()[:1_500]), [FAILED], "damaged|failed"),
    Hostile("cut.pptx", _bytes(lambda: SAMPLES["works.pptx"]()[:9_000]), [FAILED], "damaged"),
    # books
    Hostile(
        "bomb.epub", _sized(lambda size: _book(b"a" * size), 20_000_000, 480_000_000), [FAILED], "unpacks"
    ),
    Hostile("escape.epub", _bytes(lambda: _book("<p>Boats</p>", "../../../../etc/passwd")), [READ]),
    Hostile("laughs.epub", _bytes(lambda: _book(_entities("file:///etc/passwd"))), [READ]),
)
