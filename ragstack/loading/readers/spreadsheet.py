"""Reads workbooks (XLSX, XLS, ODS): every sheet a section, every row a line that carries its header.

calamine is fast and holds a sheet as a dense grid; one whose far corner would make that grid too large is
read row by row with openpyxl instead. Formulas are taken at their stored values and never computed.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from ragstack.errors import LoadingError
from ragstack.loading.limits import Limits, too_many
from ragstack.loading.readers.archive import member, open_archive, password_protected, refuse_encrypted
from ragstack.loading.readers.base import Reader
from ragstack.loading.readers.blocks import Block, Composition
from ragstack.loading.readers.office import properties
from ragstack.loading.readers.rows import cell_text, written_rows
from ragstack.loading.readers.xml_tree import common_metadata, one_line, parse_xml, without_title
from ragstack.records import Document, ElementKind

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EXPECTED = "a workbook"
_CELL = re.compile(rb'<c\s[^<>]*?r="([A-Z]{1,3})(\d{1,7})"')
_MAX_GRID = 20_000_000
"""Cells of a dense grid: calamine takes 24 to 32 bytes for each, the empty ones included."""

_MAX_ROWS = 1_048_576

_Rows = Iterator[tuple[int, Sequence[str]]]


def extract(data: bytes, _name: str, limits: Limits) -> Document:
    """The document of an XLSX, XLSM, XLS or ODS file."""
    refuse_encrypted(data)
    if data.startswith(_OLD_OFFICE):
        return _document(_dense_sheets(data), {}, limits)
    with open_archive(data, limits, _EXPECTED) as archive:
        metadata = _metadata(archive)
        is_sparse = any(_grid(archive.read(name)) > _MAX_GRID for name in _sheet_parts(archive))
    return _document(_sparse_sheets(data) if is_sparse else _dense_sheets(data), metadata, limits)


def _document(sheets: Sequence[tuple[str, Callable[[], _Rows]]], metadata: dict[str, str],
              limits: Limits) -> Document:  # fmt: skip
    if len(sheets) > limits.pages:
        raise too_many(len(sheets), "sheets", limits)
    composition = Composition()
    for name, rows in sheets:
        label = one_line(name) or "unnamed"
        items = [(block, "row", f"{label}!{number}") for number, block in written_rows(rows())]
        if items:
            composition.mark("row", items[0][2])
            composition.add_blocks([Block(ElementKind.HEADING, label, 1)])
            composition.add_items(items)
        if composition.length > limits.characters:
            break  # `readers.extract` refuses it; what is there already shows that it is too much
    return Document(
        text=composition.text,
        media_type=READER.media_type,
        reader=READER.name,
        reader_version=READER.version,
        title=metadata.get("title"),
        elements=tuple(composition.elements),
        landmarks=tuple(composition.landmarks),
        metadata=without_title(metadata) | {"sheets": str(len(sheets))},
    )


def _metadata(archive: zipfile.ZipFile) -> dict[str, str]:
    opened = member(archive, "meta.xml")
    if opened is None:
        return properties(archive)
    return common_metadata(parse_xml(opened, "list of properties"))


def _sheet_parts(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name)]


def _grid(sheet: bytes) -> int:
    """How many cells the rectangle from the first to the last cell of an XLSX sheet has."""
    columns = rows = 0
    for match in _CELL.finditer(sheet):
        columns = max(columns, _column(match[1]))
        rows = max(rows, int(match[2]))
    return columns * rows


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _dense_sheets(data: bytes) -> list[tuple[str, Callable[[], _Rows]]]:
    from python_calamine import CalamineWorkbook, PasswordError

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError as error:
        raise password_protected() from error
    except Exception as error:  # calamine has an error of its own for each format
        raise LoadingError("damaged, or not a workbook") from error
    return [(name, partial(_dense_rows, workbook, name)) for name in workbook.sheet_names]


def _dense_rows(workbook: Any, name: str) -> _Rows:
    try:
        sheet = workbook.get_sheet_by_name(name)
    except Exception as error:
        raise LoadingError(f"its sheet `{one_line(name)}` is damaged") from error
    first_row = sheet.start[0] if sheet.start else 0
    for number, row in enumerate(sheet.to_python(skip_empty_area=True), start=first_row + 1):
        yield number, [cell_text(value) for value in row]


def _sparse_sheets(data: bytes) -> list[tuple[str, Callable[[], _Rows]]]:
    from openpyxl import load_workbook

    workbook = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    return [(sheet.title, partial(_sparse_rows, sheet)) for sheet in workbook.worksheets]


def _sparse_rows(sheet: Any) -> _Rows:
    sheet.reset_dimensions()  # else every row that is missing comes as wide as the widest
    rows = sheet.iter_rows(values_only=True)
    for number, row in enumerate(islice(rows, _MAX_ROWS), start=1):
        if any(value is not None for value in row):
            yield number, [cell_text(value) for value in row]


READER = Reader(
    name="spreadsheet",
    version=1,
    suffixes=(".xlsx", ".xlsm", ".xls", ".ods"),
    media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    extract=extract,
)
