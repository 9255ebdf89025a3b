import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstack.errors import LoadingError
from ragstack.loading.readers import extract

BODY = [
    "The mill stood at the river for two hundred years, and in all that time",
    "nobody in the valley could say who had built it, nor did anybody ask.",
    "Then the wheel broke.",
]


def read(data):
    return extract(data, "a.pdf")


def blocks(document):
    return [
        (element.kind.value + str(element.level or ""), document.text[element.start : element.end])
        for element in document.elements
    ]


def page_texts(document):
    ends = [mark.start for mark in document.landmarks[1:]] + [len(document.text)]
    return {
        mark.label: document.text[mark.start : end].strip()
        for mark, end in zip(document.landmarks, ends, strict=True)
    }


def test_pages_headings_and_paragraphs_are_told_apart(make_pdf, run, lines, check):
    document = read(
        make_pdf(
            [
                [run("The mill", y=780, size=20), run("Its history", y=740, size=14), *lines(BODY, 715)],
                [run("Its wheel", y=780, size=14), *lines(BODY, 755)],
            ]
        )
    )
    check(document)
    whole = " ".join(BODY)
    assert blocks(document) == [
        ("heading1", "The mill"),
        ("heading2", "Its history"),
        ("paragraph", whole),
        ("heading2", "Its wheel"),
        ("paragraph", whole),
    ]
    assert page_texts(document) == {
        "1": f"The mill\n\nIts history\n\n{whole}",
        "2": f"Its wheel\n\n{whole}",
    }
    assert {mark.kind for mark in document.landmarks} == {"page"}
    assert not document.lines_are_original
    assert document.title == "The mill"
    assert document.metadata == {"pages": "2"}


def test_a_sentence_that_goes_on_over_the_page_is_not_torn(make_pdf, lines):
    document = read(make_pdf([lines(BODY[:1], 760), lines(BODY[1:], 760)]))
    assert blocks(document) == [("paragraph", " ".join(BODY))]
    assert page_texts(document) == {"1": BODY[0], "2": " ".join(BODY[1:])}


def test_columns_are_read_one_after_the_other(make_pdf, run, lines):
    left = ["The mill stood at the river for two", "hundred years, and in all that time", "nobody could say"]
    right = ["who had built it. Nor did anybody in", "the valley ask for the builder's name."]
    page = [run("The mill", y=790, size=18), *lines(left, 740, x=50), *lines(right, 740, x=320)]
    assert blocks(read(make_pdf([page])))[1:] == [("paragraph", " ".join([*left, *right]))]


def test_a_word_that_is_cut_at_the_line_end_is_joined(make_pdf, lines):
    document = read(
        make_pdf(
            [
                lines(
                    [
                        "The owners did not understand why the wheel had broken, but a well-",
                        "known expert did, and the under-",
                        "standing of wheels is a trade of its own among the mill-",
                        "wrights of the valley. Mill-wrights are rare.",
                    ],
                    760,
                )
            ]
        )
    )
    assert "a well-known expert" in document.text
    assert "the understanding of wheels" in document.text
    assert "the mill-wrights of" in document.text


def test_paragraphs_are_parted_by_gaps_indents_and_early_line_ends(make_pdf, run, lines):
    by_gap = lines(BODY, 760) + lines(BODY, 700)
    by_early_end = lines([*BODY, *BODY], 500)
    texts = [text for _, text in blocks(read(make_pdf([by_gap + by_early_end])))]
    assert texts == [" ".join(BODY)] * 4
    by_indent = [run(BODY[1], x=72, y=700), run(BODY[0], x=90, y=686), run(BODY[2], x=72, y=672)]
    texts = [text for _, text in blocks(read(make_pdf([by_indent])))]
    assert texts == [BODY[1], f"{BODY[0]} {BODY[2]}"]


def test_list_items_stay_apart_and_keep_their_lines_together(make_pdf, run):
    page = [
        run("\u2022", x=72, y=700),
        run("the wheel, which had been made of oak in the year of the great flood", x=86, y=700),
        run("and was twice repaired", x=86, y=686),
        run("\u2022", x=72, y=672),
        run("the stone", x=86, y=672),
        run("1. first", x=72, y=640),
        run("2. second", x=72, y=626),
    ]
    wheel = "the wheel, which had been made of oak in the year of the great flood and was twice repaired"
    assert blocks(read(make_pdf([page]))) == [
        ("list_item", f"\u2022 {wheel}"),
        ("list_item", "\u2022 the stone"),
        ("list_item", "1. first"),
        ("list_item", "2. second"),
    ]


def test_lettered_items_are_items_and_a_dash_within_a_sentence_is_none(make_pdf, lines):
    dashed = [
        "The wheel of the mill, which had been standing still for some forty years",
        "- nobody had missed it - began to turn again in the spring of that year",
    ]
    lettered = ["a) the wheel", "b) the stone", "c) the river"]
    document = read(make_pdf([lines(dashed, 760) + lines(lettered, 700)]))
    assert blocks(document) == [
        ("paragraph", " ".join(dashed)),
        ("list_item", "a) the wheel"),
        ("list_item", "b) the stone"),
        ("list_item", "c) the river"),
    ]


def test_rows_with_wide_gaps_are_a_table_and_fixed_pitch_is_code(make_pdf, run, lines):
    table = [run("part", y=500), run("size", x=250, y=500), run("wheel", y=486), run("5 m", x=250, y=486)]
    code = [run("def f(x):", y=400, font="fixed"), run("return x", x=98.4, y=386, font="fixed")]
    assert blocks(read(make_pdf([lines(BODY, 700) + table + code])))[1:] == [
        ("table", "part | size\nwheel | 5 m"),
        ("code", "def f(x):\n    return x"),
    ]


def test_cells_of_several_lines_stay_in_their_row(make_pdf, run, lines):
    table = [
        *(run(text, x=x, y=500) for text, x in (("part", 72), ("remark", 180), ("size", 380))),
        *(run(text, x=x, y=480) for text, x in (("wheel", 72), ("made of oak in the year", 180))),
        run("of the flood", x=180, y=468),
        run("5 m", x=380, y=480),
        *(run(text, x=x, y=448) for text, x in (("stone", 72), ("granite", 180), ("1 m", 380))),
    ]
    assert blocks(read(make_pdf([lines(BODY, 700) + table])))[1] == (
        "table",
        "part | remark | size\nwheel | made of oak in the year of the flood | 5 m\nstone | granite | 1 m",
    )


def test_lines_that_end_early_without_a_sentence_end_stay_lines(make_pdf, lines):
    page = lines(BODY, 760) + lines(["Mill House", "9 Weir Lane", "Ostrey"], 650)
    assert blocks(read(make_pdf([page])))[1] == ("paragraph", "Mill House\n9 Weir Lane\nOstrey")


def test_a_bold_line_alone_above_text_is_a_heading(make_pdf, run, lines):
    page = [run("Water", y=760, font="bold"), *lines(BODY, 740)]
    assert blocks(read(make_pdf([page])))[0] == ("heading1", "Water")


def test_the_outline_gives_headings_their_level(make_pdf, run, lines):
    page = [run("2.1 Of water", y=760), *lines(BODY, 730)]
    other = [run("3. Of stones", y=760), *lines(BODY, 730)]
    document = read(make_pdf([page, other], outline=[("Of water", 0), ("Of stones", 1)]))
    headings = [(element.level, element.title) for element in document.elements if element.level]
    assert headings == [(1, "2.1 Of water"), (1, "3. Of stones")]


def test_running_heads_stay_once_and_page_numbers_go(make_pdf, run, lines):
    pages = [
        [
            run(f"Report on the mill, page {page} of 5", y=810, size=8),
            *lines(BODY, 760),
            run(f"- {page} -", y=30),
        ]
        for page in range(1, 6)
    ]
    document = read(make_pdf(pages))
    assert document.text.startswith("Report on the mill, page 1 of 5\n\nThe mill stood")
    assert document.text.count("Report on the mill") == 1
    assert "- 3 -" not in document.text
    assert document.text.count(BODY[0]) == 5


def test_page_numbers_may_start_anywhere(make_pdf, run, lines):
    document = read(make_pdf([[*lines(BODY, 760), run(str(page), y=30)] for page in (17, 18)]))
    assert "17" not in document.text
    assert "18" not in document.text


def test_a_last_line_that_differs_in_its_numbers_is_no_running_head(make_pdf, run, lines):
    sums = ["Sum of 3 wheels: 120", "Sum of 9 wheels: 7", "Sum of 4 wheels: 31", "Sum of 5 wheels: 99"]
    document = read(make_pdf([[*lines(BODY, 760), run(text, y=30)] for text in sums]))
    assert all(text in document.text for text in sums)


def test_metadata_is_read_and_placeholders_are_not(make_pdf, run):
    document = read(
        make_pdf(
            [[run("words")]],
            info={
                "Title": "Microsoft Word - The mill",
                "Author": "(anonymous)",
                "Subject": "Mills",
                "Keywords": "water, wheel",
                "CreationDate": "D:20240131120000+01'00'",
                "ModDate": "D:2024",
            },
        )
    )
    assert document.title == "The mill"
    assert document.metadata == {
        "subject": "Mills",
        "keywords": "water, wheel",
        "created": "2024-01-31T12:00:00+01:00",
        "modified": "2024",
        "pages": "1",
    }


@pytest.mark.parametrize("title", ["untitled", "report-final.docx", "", "  "])
def test_a_title_that_says_nothing_gives_way_to_the_first_heading(make_pdf, run, lines, title):
    page = [run("The mill", y=780, size=20), *lines(BODY, 740)]
    assert read(make_pdf([page], info={"Title": title})).title == "The mill"


def test_pages_without_text_are_named_and_have_no_landmark(make_pdf, run):
    document = read(make_pdf([[], [run("one")], [], [], [run("two")], []]))
    assert [mark.label for mark in document.landmarks] == ["2", "5"]
    assert document.metadata == {"pages": "6", "pages_without_text": "1, 3-4, 6"}


def test_characters_beyond_the_basic_plane_do_not_shift_positions(make_pdf, run):
    document = read(make_pdf([[run("plain words", y=700), run("other words", x=300, y=700)]]))
    assert document.text == "plain words other words"


def test_a_document_without_text_needs_ocr(make_pdf):
    with pytest.raises(LoadingError, match="no text found: scanned pages need OCR") as caught:
        read(make_pdf([[], []]))
    assert caught.value.hint


def test_a_document_with_a_password_is_refused(make_pdf, run):
    with pytest.raises(LoadingError, match="password-protected"):
        read(make_pdf([[run("secret")]], encrypted=True))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7\nnothing else", "damaged"),
        (b"some text", "not a PDF document"),
        (b"\x89PNG\r\n\x1a\n", "looks like a PNG image, not a PDF document"),
    ],
)
def test_what_is_no_pdf_is_refused_with_its_reason(data, reason):
    with pytest.raises(LoadingError, match=reason) as caught:
        read(data)
    assert "\n" not in caught.value.message


def test_a_truncated_file_is_refused_or_read_but_never_crashes(make_pdf, lines, check):
    data = make_pdf([lines(BODY, 760)])
    outcomes = {outcome(data[:end], check) for end in range(0, len(data), 97)}
    assert "damaged, or not a PDF document" in outcomes
    assert not any("\n" in reason for reason in outcomes)


def outcome(data, check):
    """The reason for which a file is refused; nothing for one that is read and keeps its promises."""
    try:
        document = read(data)
    except LoadingError as error:
        return error.message
    check(document)
    return ""


@settings(max_examples=100, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), max_size=8))
def test_a_damaged_file_is_refused_or_gives_a_sound_document(make_pdf, lines, check, places):
    data = bytearray(make_pdf([lines(BODY, 760), lines(BODY, 700)]))
    for place, byte in places:
        data[place % len(data)] = byte
    assert "\n" not in outcome(bytes(data), check)
