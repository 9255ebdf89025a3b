"""Makes files of every format that ragstack reads, with known content, as small as the format allows.

What an office program would write is written by hand where that is short, and by the format's own library
where it is not. Old Office files and Outlook messages are put together from their streams by `compound_file`.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_RELATIONS = f"{_PACKAGE}/relationships"
_OPEN = "urn:oasis:names:tc:opendocument:xmlns"
_SMALL_STREAM = 4096
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

PROPERTIES = """<?xml version="1.0" encoding="UTF-8"?>
<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">
<dc:title>The ferry</dc:title><dc:creator>Ada Ferrier</dc:creator>
<dcterms:created>2024-05-06T07:08:09Z</dcterms:created></cp:coreProperties>"""


def archive(parts: Mapping[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of a ZIP archive of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return stream.getvalue()


# ----------------------------------------------------------------------------- Word


def word_paragraph(text: str, style: str | None = None, *, new_page: bool = False) -> str:
    """A paragraph; with `new_page`, Word has laid it out at the top of a page."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    page = "<w:lastRenderedPageBreak/>" if new_page else ""
    return f'<w:p>{properties}<w:r>{page}<w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def word_table(rows: Sequence[Sequence[str]]) -> str:
    cells = ["".join(f"<w:tc>{word_paragraph(cell)}</w:tc>" for cell in row) for row in rows]
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def docx(body: str, *, properties: str = PROPERTIES) -> bytes:
    """A DOCX file with this body; its styles are Title, Heading1 to Heading3 and Code."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{label}"/></w:style>'
        for name, label in (
            ("Title", "Title"), ("Heading1", "heading 1"), ("Heading2", "heading 2"),
            ("Heading3", "heading 3"), ("Code", "Code"),
        )
    )  # fmt: skip
    content = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{content}.document.main+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r1"'
            f' Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="r2"'
            f' Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
            "word/document.xml": f'<w:document xmlns:w="{WORD}" xmlns:m="{MATH}"><w:body>{body}</w:body>'
            "</w:document>",
            "word/styles.xml": f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>',
            "docProps/core.xml": properties,
        }
    )


def sample_docx() -> bytes:
    return docx(
        word_paragraph("The ferry", "Title")
        + word_paragraph("Timetable", "Heading1")
        + word_paragraph("The first boat leaves at six.")
        + word_table([["Harbour", "Minute"], ["Aldwick", "12"], ["Brine", "47"]])
        + word_paragraph("Fares", "Heading1", new_page=True)
        + word_paragraph("A bicycle costs two crowns.")
        + word_paragraph("Seasons are sold ", None)
        + word_paragraph("Pets", "Heading2", new_page=True)
        + word_paragraph("Dogs travel free on the upper deck.")
    )


# --------------------------------------------------------------------- presentations


def sample_pptx(slides: int = 3) -> bytes:
    from pptx import Presentation

    presentation = Presentation()
    presentation.core_properties.title = "Harbour works"
    presentation.core_properties.author = "Ada Ferrier"
    for number in range(1, slides + 1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = f"Stage {number}"
        slide.placeholders[1].text = f"Pier {number} is drained.\nCrane {number} is moved."
        slide.notes_slide.notes_text_frame.text = f"Mention the tide of day {number}."
    cells = presentation.slides[0].shapes.add_table(2, 2, 0, 0, 100, 100).table
    for row, texts in enumerate((("Pier", "Depth"), ("North", "7 m"))):
        for column, text in enumerate(texts):
            cells.cell(row, column).text = text
    stream = io.BytesIO()
    presentation.save(stream)
    return stream.getvalue()


# ------------------------------------------------------------------------ workbooks


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    workbook.properties.title, workbook.properties.creator = "Stock", "Ada Ferrier"
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


STOCK = {
    "Ropes": [["Kind", "Metres"], ["Hemp", 120], ["Nylon", 75.5], [], ["Steel", 30]],
    "Lamps": [["Colour", "Count"], ["Red", 4], ["Green", 6]],
}


def sample_xlsx() -> bytes:
    return xlsx(STOCK)


def sample_xls() -> bytes:
    """A workbook of Excel 97 (BIFF8) with one sheet of text cells and numbers."""
    sheet = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    for row, cells in enumerate([["Kind", "Metres"], ["Hemp", 120], ["Steel", 30]]):
        for column, value in enumerate(cells):
            place = struct.pack("<HHH", row, column, 0)
            if isinstance(value, str):
                text = struct.pack("<HB", len(value), 0) + value.encode("latin-1")
                sheet += _record(0x0204, place + text)
            else:
                sheet += _record(0x0203, place + struct.pack("<d", value))
    sheet += _record(0x000A, b"")
    name = b"Ropes"
    begin = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
    bound_length = 4 + 8 + len(name)
    start = len(begin) + bound_length + 4
    bound = _record(0x0085, struct.pack("<IBBBB", start, 0, 0, len(name), 0) + name)
    workbook = begin + bound + _record(0x000A, b"") + sheet
    return compound_file({"Workbook": workbook})


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def sample_ods() -> bytes:
    rows = [["Kind", "Metres"], ["Hemp", "120"], ["Steel", "30"]]
    table = "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    return _open_document(
        f'<office:spreadsheet><table:table table:name="Ropes">{table}</table:table></office:spreadsheet>',
        "spreadsheet",
    )


# -------------------------------------------------------------------- OpenDocument


def _open_document(body: str, kind: str) -> bytes:
    namespaces = (
        " ".join(
            f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
            for name in ("office", "text", "table")
        )
        + ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
    )
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    meta = (
        f'<office:document-meta {namespaces} xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:meta="{_OPEN}:meta:1.0"><office:meta><dc:title>Lock keeping</dc:title>'
        "<meta:initial-creator>Ada Ferrier</meta:initial-creator></office:meta></office:document-meta>"
    )
    return archive(
        {
            "mimetype": media_type,
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{_OPEN}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media_type}"/>'
            "</manifest:manifest>",
            "content.xml": f"<office:document-content {namespaces}><office:body>{body}</office:body>"
            "</office:document-content>",
            "meta.xml": meta,
        }
    )


def odt(body: str) -> bytes:
    return _open_document(f"<office:text>{body}</office:text>", "text")


def sample_odt() -> bytes:
    return odt(
        '<text:h text:outline-level="1">Gates</text:h>'
        "<text:p>Open the<text:s/>upper gate<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body>"
        "<text:p>By hand.</text:p></text:note-body></text:note> first.</text:p>"
        "<text:list><text:list-item><text:p>Check the paddles</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>Lock</text:p></table:table-cell>"
        "<table:table-cell><text:p>Rise</text:p></table:table-cell></table:table-row>"
        "<table:table-row><table:table-cell><text:p>Weir</text:p></table:table-cell>"
        "<table:table-cell><text:p>3 m</text:p></table:table-cell></table:table-row></table:table>"
        '<text:h text:outline-level="2">Winter</text:h><text:p>Break the ice.</text:p>'
    )


def sample_odp() -> bytes:
    pages = "".join(
        f'<draw:page draw:name="p{number}"><draw:frame><draw:text-box><text:p>Lesson {number}</text:p>'
        "</draw:text-box></draw:frame></draw:page>"
        for number in (1, 2, 3)
    )
    return _open_document(f"<office:presentation>{pages}</office:presentation>", "presentation")


# -------------------------------------------------------------------- books and mail


def sample_epub() -> bytes:
    return epub([f"<h1>Chapter {n}</h1><p>The keeper counts {n} gulls.</p>" for n in (1, 2)])


def epub(bodies: Sequence[str]) -> bytes:
    """A book of chapters with these bodies: `text/c1.xhtml` and so on."""
    chapters = {
        f"c{number}.xhtml": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x'
        f"</title></head><body>{body}</body></html>"
        for number, body in enumerate(bodies, start=1)
    }
    items = "".join(
        f'<item id="{name}" href="text/{name}" media-type="application/xhtml+xml"/>' for name in chapters
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'<container xmlns="{container}"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf"'
            ' xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The light</dc:title>'
            "<dc:creator>Ada Ferrier</dc:creator><dc:language>en</dc:language></metadata>"
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{f"OPS/text/{name}": content for name, content in chapters.items()},
        }
    )


def sample_eml(*, attachments: Mapping[str, bytes] | None = None) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Ada Ferrier <ada@example.org>", "Bo Brine <bo@example.org>"
    message["Subject"], message["Date"] = "Mooring fees", "Mon, 06 May 2024 07:08:09 +0000"
    message.set_content("The mooring fee rises to nine crowns in June.\n")
    message.add_alternative("<p>The mooring fee rises to <b>nine</b> crowns in June.</p>", subtype="html")
    for name, content in (attachments or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def sample_msg() -> bytes:
    """A message as Outlook saves it [MS-OXMSG]: subject, body and sender."""

    def text(tag: int, value: str) -> tuple[str, bytes]:
        return f"__substg1.0_{tag:04X}001F", value.encode("utf-16-le")

    streams = dict(
        [
            text(0x0037, "Mooring fees"),
            text(0x1000, "The mooring fee rises to nine crowns in June."),
            text(0x0C1A, "Ada Ferrier"),
            text(0x001A, "IPM.Note"),
            text(0x0C1F, "ada@example.org"),
        ]
    )
    properties = bytes(8) + struct.pack("<IIII", 0, 0, 0, 0) + bytes(8)
    for name, value in streams.items():
        tag = int(name[-8:], 16)
        properties += struct.pack("<IIII", tag, 6, len(value) + 2, 0)
    return compound_file({"__properties_version1.0": properties, **streams})


# ------------------------------------------------------------------------- the others

NOTEBOOK_CELLS = [
    {"cell_type": "markdown", "metadata": {}, "source": ["# Tides\n", "\n", "What the gauge says.\n"]},
    {
        "cell_type": "code",
        "metadata": {},
        "execution_count": 1,
        "source": "height = gauge()\nprint(height)\n",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["4.25 metres\n"]}],
    },
    {"cell_type": "markdown", "metadata": {}, "source": "## Ebb\n\nIt falls by midnight.\n"},
]


def sample_ipynb(cells: Sequence[Mapping[str, object]] = NOTEBOOK_CELLS) -> bytes:
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": cells,
    }
    return json.dumps(notebook, indent=1).encode()


PYTHON = '''"""Counts boats."""

import os


# Boats that came in.
class Harbour:
    """A place for boats."""

    def berths(self) -> int:
        """How many are free."""
        return 12


def toll(length: float) -> float:
    """Crowns for a boat."""
    return length * 3
'''

RST = """=======
Charts
=======

:Author: Ada Ferrier

Soundings
---------

Depths are in fathoms.  For example::

    sound(7)
    sound(9)

=====  =====
Place  Depth
=====  =====
Bar    3
Pool   9
=====  =====

Buoys
-----

Green to starboard.
"""

LATEX = r"""\documentclass{article}
\title{On \emph{Knots}}
\author{Ada Ferrier \and Bo Brine}
\begin{document}
\maketitle
\section{Bends}
A bend joins two ropes.

\begin{verbatim}
tie(a, b)
\end{verbatim}
\subsection{Sheet bend}
\begin{tabular}{ll}
Knot & Strength \\
Reef & 45 \\
\end{tabular}
Use it for unequal ropes.
\end{document}
"""

RTF = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title Salvage law}{\author Ada Ferrier}"
    r"{\creatim\yr2024\mo5\dy6}}\f0 Salvage law\par The salvor keeps a tenth of the value\'85\par"
    r"\trowd\cellx1000\cellx2000 Cargo\cell Share\cell\row Grain\cell Tenth\cell\row\pard Done.\par}"
)

SRT = """1
00:00:01,000 --> 00:00:03,500
Welcome <i>aboard</i>.

2
00:00:04,000 --> 00:00:06,000
The bell rings twice.

3
00:01:10,000 --> 00:01:12,000
Mind the step.
"""

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Harbour news</title>
<item><title>Dredging</title><dc:creator>Ada Ferrier</dc:creator><pubDate>Mon, 06 May 2024</pubDate>
<description>&lt;p&gt;The channel is &lt;b&gt;deep&lt;/b&gt; again.&lt;/p&gt;</description></item>
<item><title>Regatta</title><description>Ten boats race.</description></item></channel></rss>
"""

SAMPLES: Mapping[str, Callable[[], bytes]] = {
    "ferry.docx": sample_docx,
    "works.pptx": sample_pptx,
    "stock.xlsx": sample_xlsx,
    "stock.xls": sample_xls,
    "stock.ods": sample_ods,
    "locks.odt": sample_odt,
    "lessons.odp": sample_odp,
    "light.epub": sample_epub,
    "fees.eml": sample_eml,
    "fees.msg": sample_msg,
    "tides.ipynb": sample_ipynb,
    "news.xml": FEED.encode,
    "law.rtf": RTF.encode,
    "crossing.srt": SRT.encode,
    "crossing.vtt": ("WEBVTT\n\n" + SRT.replace(",", ".")).encode,
    "charts.rst": RST.encode,
    "knots.tex": LATEX.encode,
    "harbour.py": PYTHON.encode,
    "stock.csv": lambda: b"Kind,Metres\nHemp,120\nSteel,30\n",
    "stock.json": lambda: b'{"rope": "hemp", "metres": [120, 30]}\n',
    "note.txt": lambda: b"The tide turns at noon.\n\nBoats wait for it.\n",
    "note.md": lambda: b"# Tide\n\nIt turns at noon.\n\n- boats\n- birds\n",
    "note.html": lambda: b"<h1>Tide</h1><p>It turns at noon.</p><table><tr><td>a<td>b</table>",
}


_SECTOR = 512
_END_OF_CHAIN, _TABLE_SECTOR, _NOTHING = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF


class _Sectors:
    """Sectors of one size that are filled chain by chain, and the table that links them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.body = b""
        self.table: list[int] = []

    def add(self, content: bytes) -> int:
        """Where the chain of this content begins."""
        start, count = len(self.table), max(1, -(-len(content) // self.size))
        self.table += [*range(start + 1, start + count), _END_OF_CHAIN]
        self.body += content.ljust(count * self.size, b"\0")
        return start


def compound_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file [MS-CFB] with these streams beside each other."""
    sectors, small = _Sectors(_SECTOR), _Sectors(64)
    places = [(small if len(each) < _SMALL_STREAM else sectors).add(each) for each in streams.values()]
    small_start = sectors.add(small.body) if small.table else _END_OF_CHAIN
    small_table = struct.pack(f"<{len(small.table)}I", *small.table)
    small_table_sectors = -(-len(small_table) // _SECTOR)
    padded = small_table.ljust(small_table_sectors * _SECTOR, b"\xff")
    small_table_start = sectors.add(padded) if small.table else _END_OF_CHAIN
    entries = [_directory_entry("Root Entry", 5, small_start, len(small.body), child=1)]
    for number, ((name, content), start) in enumerate(zip(streams.items(), places, strict=True), start=1):
        right = number + 1 if number < len(streams) else _NOTHING
        entries.append(_directory_entry(name, 2, start, len(content), right=right))
    directory_start = sectors.add(b"".join(entries))
    tables = 1
    while len(sectors.table) + tables > tables * _SECTOR // 4:
        tables += 1
    first_table = len(sectors.table)
    linked = [*sectors.table, *[_TABLE_SECTOR] * tables]
    table = struct.pack(f"<{len(linked)}I", *linked).ljust(tables * _SECTOR, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6, bytes(6), 0, tables,
        directory_start, 0, _SMALL_STREAM, small_table_start, small_table_sectors, _END_OF_CHAIN, 0,
        first_table,
    )  # fmt: skip
    header += struct.pack(f"<{tables - 1}I", *range(first_table + 1, first_table + tables))
    return header.ljust(_SECTOR, b"\xff") + sectors.body + table


def _directory_entry(
    name: str, kind: int, start: int, size: int, *, child: int = _NOTHING, right: int = _NOTHING
) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ",
        encoded, len(encoded), kind, 1, _NOTHING, right, child, bytes(16), 0, 0, 0, start, size,
    )  # fmt: skip
