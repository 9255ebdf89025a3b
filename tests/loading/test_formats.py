"""What each reader makes of a small file with known content: text, structure, metadata, places."""

from __future__ import annotations

import builtins
import io
import zipfile

import pytest
import sample_files
from sample_files import SAMPLES

from ragstack.errors import LoadingError, MissingExtraError
from ragstack.loading.limits import Limits
from ragstack.loading.readers import extract


def kinds(document):
    return [
        (each.kind.value, each.title or document.text[each.start : each.end]) for each in document.elements
    ]


def places(document):
    """The beginning of what lies on each landmark."""
    ends = [mark.start for mark in document.landmarks[1:]] + [len(document.text)]
    return {
        f"{mark.kind} {mark.label}": document.text[mark.start : end].strip()
        for mark, end in zip(document.landmarks, ends, strict=True)
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_a_sound_document(check, name):
    document = extract(SAMPLES[name](), name)
    check(document)
    assert document.text.strip()
    assert document.elements


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("ferry.docx", "The ferry"), ("works.pptx", "Harbour works"), ("stock.xlsx", "Stock"),
        ("locks.odt", "Lock keeping"), ("light.epub", "The light"), ("fees.eml", "Mooring fees"),
        ("fees.msg", "Mooring fees"), ("tides.ipynb", "Tides"), ("law.rtf", "Salvage law"),
        ("charts.rst", "Charts"), ("knots.tex", "On Knots"),
    ],
)  # fmt: skip
def test_title_and_author_are_kept(name, title):
    document = extract(SAMPLES[name](), name)
    assert document.title == title
    if name != "tides.ipynb":
        assert "Ada Ferrier" in document.metadata["author"]


def test_word_keeps_headings_tables_and_the_pages_that_word_laid_out():
    document = extract(SAMPLES["ferry.docx"](), "ferry.docx")
    assert kinds(document) == [
        ("heading", "The ferry"),
        ("heading", "Timetable"),
        ("paragraph", "The first boat leaves at six."),
        ("table", "Harbour | Minute\nAldwick | 12\nBrine | 47"),
        ("heading", "Fares"),
        ("paragraph", "A bicycle costs two crowns."),
        ("paragraph", "Seasons are sold"),
        ("heading", "Pets"),
        ("paragraph", "Dogs travel free on the upper deck."),
    ]
    assert [mark.label for mark in document.landmarks] == ["1", "2", "3"]
    assert places(document)["page 2"].startswith("Fares")
    assert places(document)["page 3"].startswith("Pets")
    assert document.metadata["created"] == "2024-05-06T07:08:09Z"


def test_a_page_may_end_within_a_paragraph_of_a_word_document():
    body = (
        "<w:p><w:r><w:t>Before the end </w:t></w:r>"
        "<w:r><w:lastRenderedPageBreak/><w:t>and after it.</w:t></w:r></w:p>"
    )
    document = extract(sample_files.docx(body), "a.docx")
    assert document.text == "Before the end and after it."
    assert places(document) == {"page 1": "Before the end", "page 2": "and after it."}


def test_a_word_document_that_was_never_laid_out_counts_the_page_breaks_that_were_asked_for():
    broken = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    body = sample_files.word_paragraph("One.") + broken + sample_files.word_paragraph("Two.")
    document = extract(sample_files.docx(body), "a.docx")
    assert places(document) == {"page 1": "One.", "page 2": "Two."}
    unbroken = extract(sample_files.docx(sample_files.word_paragraph("One.")), "a.docx")
    assert unbroken.landmarks == ()


def test_formulas_of_word_are_written_on_a_line():
    formula = (
        "<w:p><m:oMathPara><m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r>"
        "</m:den></m:f><m:sSup><m:e><m:r><w:rPr/><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup>"
        "</m:sSup></m:oMath></m:oMathPara></w:p>"
    )
    assert extract(sample_files.docx(formula), "a.docx").text == "a/bx^2"


def test_slides_have_titles_lists_tables_and_notes():
    document = extract(SAMPLES["works.pptx"](), "works.pptx")
    slides = places(document)
    assert list(slides) == ["slide 1", "slide 2", "slide 3"]
    assert slides["slide 2"].split("\n") == [
        "Stage 2", "", "- Pier 2 is drained.", "- Crane 2 is moved.", "", "Notes: Mention the tide of day 2.",
    ]  # fmt: skip
    assert ("table", "Pier | Depth\nNorth | 7 m") in kinds(document)
    assert document.metadata["slides"] == "3"


@pytest.mark.parametrize("name", ["stock.xlsx", "stock.xls", "stock.ods"])
def test_every_row_of_a_sheet_carries_its_header_and_its_number(name):
    document = extract(SAMPLES[name](), name)
    found = places(document)
    assert found["row Ropes!2"] == "Kind: Hemp | Metres: 120"
    steel = "row Ropes!5" if name == "stock.xlsx" else "row Ropes!3"
    assert found[steel] == "Kind: Steel | Metres: 30"
    assert ("heading", "Ropes") in kinds(document)


def test_a_sheet_that_begins_further_down_counts_its_rows_from_the_top():
    data = sample_files.xlsx({"S": [[], [], ["Kind", "Metres"], ["Hemp", 1]]})
    assert places(extract(data, "a.xlsx"))["row S!4"] == "Kind: Hemp | Metres: 1"


def test_rows_without_a_header_are_only_parted():
    document = extract(sample_files.xlsx({"S": [[1, 2], [3, 4]]}), "a.xlsx")
    assert places(document)["row S!2"] == "3 | 4"


def test_a_title_above_a_table_is_not_its_header():
    document = extract(b"Fares of 2024,,\n\nFrom,To,Crowns\nAldwick,Brine,3\n", "a.csv")
    assert places(document)["row 4"] == "From: Aldwick | To: Brine | Crowns: 3"


def test_one_cell_in_the_far_corner_does_not_fill_the_memory():
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1"><v>7</v></c></row><row r="1048576"><c r="XFD1048576"><v>8</v></c></row>'
        "</sheetData></worksheet>"
    )
    parts = {
        entry: content
        for entry, content in _parts(sample_files.xlsx({"S": [[1]]})).items()
        if entry != "xl/worksheets/sheet1.xml"
    }
    document = extract(sample_files.archive({**parts, "xl/worksheets/sheet1.xml": sheet}), "a.xlsx")
    assert places(document)["row S!1048576"] == "8"


def _parts(data):
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize(
    "data",
    [
        b"Kind,Metres\nHemp,120\n", b"Kind;Metres\nHemp;120\n", b"Kind\tMetres\nHemp\t120\n",
        b'"Kind","Metres"\r\n"Hemp","120"\r\n', "Kind,Metres\nHemp,120\n".encode("utf-16"),
    ],
)  # fmt: skip
def test_separators_quotes_and_encodings_of_tables_are_found_out(data):
    assert extract(data, "a.csv").text == "Kind | Metres\n\nKind: Hemp | Metres: 120"


def test_a_quoted_line_end_stays_within_its_row():
    document = extract(b'Kind,Note\nHemp,"two\nlines"\nSteel,x\n', "a.csv")
    assert places(document)["row 3"] == "Kind: Steel | Note: x"
    assert "Note: two lines" in document.text


def test_a_quote_that_is_never_closed_loses_no_row():
    rows = "".join(f"row {number},{number}\n" for number in range(9_000))
    document = extract(f'Kind,Count\n"broken,1\n{rows}'.encode(), "a.csv")
    assert places(document)["row 9002"] == "Kind: row 8999 | Count: 8999"


def test_json_keeps_its_lines_and_names_its_keys():
    document = extract(b'{\n  "rope": "hemp",\n  "length": {"metres": [1, 2]}\n}\n', "a.json")
    assert document.lines_are_original
    assert document.text.split("\n")[2] == '  "length": {"metres": [1, 2]}'
    assert [mark.label for mark in document.landmarks] == ["rope", "length"]


def test_json_on_one_long_line_is_broken_into_lines():
    data = b"[" + b",".join(b'{"kind": "rope %d", "metres": %d}' % (n, n) for n in range(50)) + b"]"
    document = extract(data, "a.json")
    assert not document.lines_are_original
    assert document.text.count("\n") > 50
    assert places(document)["item 3"].startswith('{"kind": "rope 2",')
    assert "".join(document.text.split()) == "".join(data.decode().split())


def test_escapes_of_letters_in_json_are_read_and_others_stay():
    document = extract(rb'{"a": "gr\u00fc\u00dfe \ud83d\ude00 \u000a \\u00fc"}', "a.json")
    assert document.text == '{"a": "gr\u00fc\u00dfe \U0001f600 \\u000a \\\\u00fc"}'


def test_every_line_of_json_lines_is_a_record():
    document = extract(b'{"a": 1}\n{"a": 2}\n', "a.jsonl")
    assert kinds(document) == [("code", '{"a": 1}'), ("code", '{"a": 2}')]
    assert document.lines_are_original


def test_cells_of_a_notebook_are_places():
    document = extract(SAMPLES["tides.ipynb"](), "tides.ipynb")
    found = places(document)
    assert found["cell 1"].endswith("What the gauge says.")
    assert found["cell 2"] == "height = gauge()\nprint(height)\n\n4.25 metres"
    assert found["cell 3"].endswith("It falls by midnight.")
    assert ("heading", "Ebb") in kinds(document)
    assert document.metadata["programming_language"] == "python"


def test_parts_of_a_book_come_in_reading_order():
    document = extract(SAMPLES["light.epub"](), "light.epub")
    assert places(document) == {
        "part 1": "Chapter 1\n\nThe keeper counts 1 gulls.",
        "part 2": "Chapter 2\n\nThe keeper counts 2 gulls.",
    }
    assert document.metadata["language"] == "en"


def test_a_message_has_headers_one_body_and_attachments_by_their_own_readers(make_pdf, run):
    attachments = {
        "stock.csv": b"Kind,Metres\nHemp,120\n",
        "plan.pdf": make_pdf([[run("The first page of the plan")], [run("The second page of the plan")]]),
        "photo.png": b"\x89PNG\r\n\x1a\n",
    }
    document = extract(sample_files.sample_eml(attachments=attachments), "fees.eml")
    assert document.text.count("nine crowns") == 1
    assert "From: Ada Ferrier <ada@example.org>" in document.text
    found = places(document)
    assert found["attachment stock.csv row 2"] == "Kind: Hemp | Metres: 120"
    assert found["attachment plan.pdf page 2"] == "The second page of the plan"
    assert document.metadata["not_read"] == "photo.png: no reader for .png files"
    assert document.metadata["date"] == "2024-05-06T07:08:09+00:00"


def test_messages_within_messages_end_at_a_depth():
    data = sample_files.sample_eml()
    for _ in range(6):
        data = sample_files.sample_eml(attachments={"inner.eml": data})
    document = extract(data, "a.eml", Limits(attachment_depth=3))
    assert "too deep" in document.metadata["not_read"] or "too deep" in document.text
    assert document.text.count("Mooring fees") == 4


def test_entries_of_a_feed_have_titles_authors_and_texts_without_markup():
    document = extract(SAMPLES["news.xml"](), "news.xml")
    assert document.title == "Harbour news"
    assert places(document) == {
        "item 1": "Dredging\n\nAuthor: Ada Ferrier\n\nDate: Mon, 06 May 2024\n\nThe channel is deep again.",
        "item 2": "Regatta\n\nTen boats race.",
    }


def test_xml_that_is_no_feed_stays_as_it_is():
    source = "<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY b 'c'>]>\n<a>&b;</a>\n"
    document = extract(source.encode(), "a.xml")
    assert (document.text, document.lines_are_original) == (source, True)


def test_an_open_document_has_headings_notes_lists_and_tables():
    assert kinds(extract(SAMPLES["locks.odt"](), "locks.odt")) == [
        ("heading", "Gates"),
        ("paragraph", "Open the upper gate (By hand.) first."),
        ("list_item", "- Check the paddles"),
        ("table", "Lock | Rise\nWeir | 3 m"),
        ("heading", "Winter"),
        ("paragraph", "Break the ice."),
    ]


def test_slides_of_open_document_are_places():
    assert places(extract(SAMPLES["lessons.odp"](), "a.odp"))["slide 2"] == "Lesson 2"


def test_rich_text_keeps_paragraphs_and_tables():
    assert kinds(extract(SAMPLES["law.rtf"](), "law.rtf")) == [
        ("paragraph", "Salvage law"),
        ("paragraph", "The salvor keeps a tenth of the value\u2026"),
        ("table", "Cargo | Share\nGrain | Tenth"),
        ("paragraph", "Done."),
    ]


def test_what_is_said_is_joined_and_located_by_its_time():
    for name in ("crossing.srt", "crossing.vtt"):
        document = extract(SAMPLES[name](), name)
        assert kinds(document) == [
            ("paragraph", "Welcome aboard.\nThe bell rings twice."),
            ("paragraph", "Mind the step."),
        ]
        assert places(document)["time 00:01:10"] == "Mind the step."


def test_speakers_of_web_subtitles_are_named():
    document = extract(b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada>All hands!</v>\n", "a.vtt")
    assert document.text == "Ada: All hands!"


def test_restructured_text_keeps_its_lines_titles_literals_and_tables():
    document = extract(SAMPLES["charts.rst"](), "charts.rst")
    assert document.text == sample_files.RST
    assert document.lines_are_original
    found = kinds(document)
    assert [title for kind, title in found if kind == "heading"] == ["Charts", "Soundings", "Buoys"]
    assert [each.level for each in document.elements if each.level] == [1, 2, 2]
    assert ("code", "    sound(7)\n    sound(9)") in found
    assert any(kind == "table" and "Pool   9" in text for kind, text in found)


def test_latex_keeps_its_lines_sections_listings_and_tables():
    document = extract(SAMPLES["knots.tex"](), "knots.tex")
    assert document.text == sample_files.LATEX
    assert document.metadata["author"] == "Ada Ferrier, Bo Brine"
    found = kinds(document)
    assert [title for kind, title in found if kind == "heading"] == ["Bends", "Sheet bend"]
    assert any(kind == "code" and "tie(a, b)" in text for kind, text in found)
    assert any(kind == "table" and "Reef & 45" in text for kind, text in found)


def headings(source, name):
    document = extract(source.encode(), name)
    assert document.text == source
    assert document.lines_are_original
    return [(each.level, each.title) for each in document.elements if each.level]


def test_functions_and_classes_of_python_are_sections_with_what_stands_above_them():
    assert headings(sample_files.PYTHON, "harbour.py") == [
        (1, "class Harbour"),
        (2, "def berths"),
        (1, "def toll"),
    ]
    document = extract(sample_files.PYTHON.encode(), "harbour.py")
    harbour = next(each for each in document.elements if each.title == "class Harbour")
    assert document.text[harbour.start :].startswith("# Boats that came in.")


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.c", "int main(void)\n{\n    call(a,\n         b);\n    if (a) {\n    }\n}\n", [(1, "main")]),
        ("a.ts", "export class Car {\n  async go(\n    a: number,\n  ) {\n  }\n}\nconst f = (x) => x;\n",
         [(1, "class Car"), (2, "go"), (1, "f")]),
        ("a.rs", "impl Dock for Pier {\n    pub fn new() -> Self {\n    }\n}\n",
         [(1, "impl Dock for Pier"), (2, "new")]),
        ("a.go", "type T struct {\n}\nfunc (t *T) Run(x int) error {\n}\n", [(1, "type T"), (1, "Run")]),
        ("a.java", "public class A {\n    @Override\n    public List<String> names(int a) {\n    }\n}\n",
         [(1, "class A"), (2, "names")]),
        ("a.rb", "module M\n  class C\n    def empty?\n    end\n  end\nend\n",
         [(1, "module M"), (2, "class C"), (3, "def empty?")]),
        ("a.sql", "CREATE TABLE boats (\n id int\n);\n", [(1, "TABLE boats")]),
        ("a.sh", "dock() {\n  ls\n}\n", [(1, "dock")]),
        ("a.toml", "[tool.x]\na = 1\n", [(1, "tool.x")]),
        ("a.yaml", "name: x\nparts:\n  - a\n", [(1, "name"), (1, "parts")]),
    ],
)  # fmt: skip
def test_definitions_are_found_in_many_languages(name, source, expected):
    assert headings(source, name) == expected


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub"])
def test_an_archive_of_something_else_is_refused_by_what_it_is_not(name):
    with pytest.raises(LoadingError, match=r"but not an? |not a workbook"):
        extract(sample_files.archive({"a.txt": "words"}), name)


@pytest.mark.parametrize(
    "name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub", "a.msg", "a.rtf", "a.ipynb"]
)
def test_an_image_with_the_ending_of_a_document_is_refused(name):
    with pytest.raises(LoadingError, match="looks like a PNG image"):
        extract(b"\x89PNG\r\n\x1a\n" + bytes(50), name)


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.epub"])
def test_an_encrypted_office_document_is_refused_as_such(name):
    encrypted = sample_files.compound_file({"EncryptedPackage": bytes(5000), "EncryptionInfo": bytes(5000)})
    with pytest.raises(LoadingError, match="password-protected") as caught:
        extract(encrypted, name)
    assert caught.value.hint


def test_an_archive_that_would_unpack_to_far_more_than_its_size_is_refused():
    bomb = sample_files.archive({"word/document.xml": bytes(20_000_000)})
    with pytest.raises(LoadingError, match=r"unpacks to [\d,]+ times its size, more than the limit of 100"):
        extract(bomb, "a.docx")
    with pytest.raises(LoadingError, match=r"unpacks to 19 MiB, more than the limit of 1 MiB"):
        extract(bomb, "a.docx", Limits(expanded_bytes=2**20))


def test_xml_that_declares_entities_is_refused():
    body = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    parts = _parts(SAMPLES["ferry.docx"]())
    with pytest.raises(LoadingError, match="declares XML entities"):
        extract(sample_files.archive({**parts, "word/document.xml": body}), "a.docx")


@pytest.mark.parametrize(
    ("name", "what"),
    [("works.pptx", "slides"), ("stock.xlsx", "sheets"), ("tides.ipynb", "cells"), ("light.epub", "parts")],
)  # fmt: skip
def test_too_many_pages_of_any_kind_are_refused(name, what):
    with pytest.raises(LoadingError, match=rf"has \d {what}, more than the limit of 1"):
        extract(SAMPLES[name](), name, Limits(pages=1))


def test_too_much_text_is_refused():
    with pytest.raises(LoadingError, match="has 12 characters of text, more than the limit of 10"):
        extract(b"twelve chars", "a.txt", Limits(characters=10))


def test_too_many_paragraphs_are_refused():
    with pytest.raises(LoadingError, match="has 3 paragraphs or rows, more than the limit of 2"):
        extract(b"a\n\nb\n\nc", "a.txt", Limits(elements=2))


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("works.pptx", "pptx", "pptx"), ("fees.msg", "oxmsg", "msg")]
)
def test_a_missing_library_is_named_by_the_extra_that_brings_it(monkeypatch, name, module, extra):
    original = builtins.__import__

    def without(wanted, *rest):
        if wanted.partition(".")[0] == module:
            raise ImportError(wanted)
        return original(wanted, *rest)

    data = SAMPLES[name]()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        extract(data, name)
    assert caught.value.hint == f"run `pip install 'ragstack[{extra}]'`"


def test_a_panic_of_a_library_in_rust_is_a_reason():
    data = bytearray(SAMPLES["stock.xls"]())
    data[60:64] = b"\x00\x00\x00\x00"  # the table of small streams
    data[48:52] = (10**6).to_bytes(4, "little")  # the directory
    with pytest.raises(LoadingError):
        extract(bytes(data), "a.xls")
