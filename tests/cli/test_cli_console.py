"""What is written to a terminal is harmless, whatever the documents hold."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ragstack.cli import console, tables

# Every code point by which text could steer a terminal or reorder what surrounds it.
CONTROLS = [
    chr(code)
    for code in range(0x3000)
    if (unicodedata.category(chr(code)) == "Cc" and chr(code) not in "\t\n")
    or unicodedata.bidirectional(chr(code)) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    or chr(code) in "\u061c\u200e\u200f\u2028\u2029"
]


def test_text_of_several_lines_keeps_lines_and_tabs_and_no_control():
    assert console.safe_text("a\tb\nc") == "a\tb\nc"
    for control in CONTROLS:
        assert control not in console.safe_text(f"a{control}b")


def test_one_line_of_text_stays_one_line_and_shows_what_it_held():
    assert console.safe_line("a\nb\tc\x1b[2J") == r"a\nb\tc\x1b[2J"
    for control in [*CONTROLS, "\n", "\t"]:
        assert control not in console.safe_line(f"a{control}b")


def test_the_escape_character_is_spelt_out_so_that_a_colour_code_is_seen_not_obeyed():
    assert console.safe_text("\x1b[31mred\x9b0m") == r"\x1b[31mred\x9b0m"
    assert console.safe_text("\x1b]8;;http://evil\x07link") == r"\x1b]8;;http://evil\x07link"


def test_line_ends_of_every_system_become_line_feeds():
    assert console.safe_text("a\r\nb\rc\fd\u2028e\x85f") == "a\nb\nc\nd\ne\nf"


def test_direction_overrides_are_spelt_out_and_implicit_marks_of_prose_are_left_out():
    assert console.safe_text("invoice\u202efdp.exe") == r"invoice\u202efdp.exe"
    assert console.safe_text("\u05d0\u200f!") == "\u05d0!"
    assert console.safe_line("\u05d0\u200f!") == "\u05d0\\u200f!"


def test_ordinary_text_of_any_script_is_left_alone():
    prose = "naïve café – 日本語 עברית العربية हिन्दी 👩‍👩‍👧 [bold]x[/bold]\n"
    assert console.safe_text(prose) == prose


def test_undecodable_file_names_can_be_printed():
    assert console.safe_line("caf\udce9.txt").encode("utf-8") == rb"caf\udce9.txt"


@given(st.text())
def test_safe_text_is_harmless_and_stays_so(text):
    once = console.safe_text(text)
    assert not any(control in once for control in CONTROLS)
    assert console.safe_text(once) == once
    assert "\n" not in console.safe_line(text)


@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False, allow_infinity=False)))
def test_json_is_lossless_and_holds_no_control(value):
    from io import StringIO
    from unittest import mock

    stream = StringIO()
    with mock.patch("sys.stdout", stream):
        console.write_json(value)
    written = stream.getvalue()
    assert json.loads(written) == value
    assert not any(control in written for control in CONTROLS)


def test_a_table_is_aligned_by_what_a_terminal_shows():
    lines = tables.columns([("日本", "1"), ("abc", "200")], right=(1,))
    assert lines == ["  日本    1", "  abc   200"]


def test_a_table_of_nothing_is_nothing():
    assert tables.columns([]) == []


def test_a_hostile_file_name_cannot_leave_its_cell():
    (line,) = tables.columns([("evil\n\x1b[2Jname", "x")])
    assert line == r"  evil\n\x1b[2Jname  x"
