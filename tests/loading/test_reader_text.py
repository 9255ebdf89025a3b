import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.errors import LoadingError
from ragstack.loading.readers import extract


def spans(document):
    return [document.text[element.start : element.end] for element in document.elements]


def test_paragraphs_are_what_blank_lines_separate(check):
    document = extract(b"\n\nOne line\nand another.\n \t \n\n\nSecond.\n   Third?\n\n", "a.txt")
    check(document)
    assert spans(document) == ["One line\nand another.", "Second.\n   Third?"]
    assert {element.kind for element in document.elements} == {"paragraph"}


def test_long_lines_that_nobody_wrapped_are_paragraphs():
    lines = ["a sentence of some length. " * 10, "  another one, and more. " * 10, "short."]
    document = extract("\n".join(lines).encode(), "a.txt")
    assert spans(document) == [line.strip() for line in lines]
    wrapped = "\n".join(["a line that was wrapped by its author"] * 10)
    assert spans(extract(wrapped.encode(), "a.txt")) == [wrapped]


def test_line_n_of_the_text_is_line_n_of_the_file():
    data = b"first\r\nsecond\rthird\nfourth\r\n\r\nsixth"
    document = extract(data, "a.txt")
    assert document.lines_are_original
    assert document.text.split("\n") == ["first", "second", "third", "fourth", "", "sixth"]


def test_the_document_says_who_read_it():
    document = extract(b"words", "notes/A.LOG")
    assert (document.reader, document.reader_version, document.media_type) == ("text", 1, "text/plain")
    assert document.title is None
    assert document.landmarks == ()


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t", "\ufeff".encode(), "\u3000\u00a0".encode()])
def test_an_empty_or_blank_file_is_a_document_without_elements(data):
    document = extract(data, "a.txt")
    assert document.elements == ()
    assert document.text.strip() == ""


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"GIF89a\1\0", "a GIF image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\0", "a ZIP archive or an Office document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "an old Office document"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_a_mislabelled_file_is_refused_by_its_real_format(head, what, name):
    with pytest.raises(LoadingError, match=f"looks like {what}, not text"):
        extract(head + b"rest", name)


@given(st.text(alphabet="ab .\n\t\r\x0b\x0c\x1c\x85\u2028\u3000é", max_size=80))
def test_every_character_that_is_not_blank_is_in_a_paragraph(text):
    document = extract(text.encode(), "a.txt")
    covered = set()
    for element in document.elements:
        covered.update(range(element.start, element.end))
        assert document.text[element.start : element.end].strip()
    blank = {at for at, character in enumerate(document.text) if character.isspace()}
    assert covered | blank == set(range(len(document.text)))
