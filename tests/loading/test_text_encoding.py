import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstack.loading.encoding import clean, decode

FRENCH = "L'été dernier, nous avons déjeuné près de la forêt. Où êtes-vous allés ?\n"
GERMAN = "Die Übung für größere Häuser wäre schön, aber die Straße führt über die Brücke.\n"
ENGLISH = "It’s a “smart” quote — they’re sure that it’s fine, aren’t they? 20 °C, 5 €.\n"
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. Сегодня хорошая погода.\n"
GREEK = "Σήμερα ο καιρός είναι καλός και όλοι βγήκαν έξω από το σπίτι τους.\n"
HEBREW = "דג סקרן שט בים מאוכזב ולפתע מצא לו חברה. היום מזג האוויר יפה.\n"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。今日は天気がいいです。\n"
CHINESE = "今天天气很好，我们去公园散步。中文编码的检测并不总是可靠的。\n"
TAIWANESE = "今天天氣很好，我們去公園散步。中文編碼的檢測並不總是可靠的。\n"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.\n"
MIXED = (
    "# Heading\n\n    pip install foo --bar=1\n\nEnglish words here, e.g. config.yaml. Установка пакета.\n"
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "cp1252"),
        (FRENCH, "latin-1"),
        (GERMAN, "cp1252"),
        (ENGLISH, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "iso8859-5"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (HEBREW, "cp1255"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        (CHINESE, "gbk"),
        (TAIWANESE, "big5"),
        (KOREAN, "euc-kr"),
        (KOREAN, "iso2022_kr"),
        (MIXED, "cp1251"),
    ],
)
@pytest.mark.parametrize("repeats", [1, 2_000])
def test_text_in_a_legacy_encoding_is_recognised(text, encoding, repeats):
    assert decode(text.encode(encoding) * repeats) == text * repeats


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_with_or_without_a_mark_and_the_mark_is_dropped(encoding):
    assert decode((FRENCH + JAPANESE).encode(encoding)) == FRENCH + JAPANESE


@pytest.mark.parametrize(
    ("mark", "encoding"), [(codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_BE, "utf-32-be")]
)
def test_big_endian_marks_are_known(mark, encoding):
    assert decode(mark + RUSSIAN.encode(encoding)) == RUSSIAN


def test_a_short_latin_word_is_not_taken_for_another_script():
    assert decode("café".encode("cp1252")) == "café"
    assert decode("naïve café".encode("cp1252")) == "naïve café"


def test_utf_8_that_is_cut_off_within_a_character_is_still_utf_8():
    data = (FRENCH + JAPANESE).strip().encode()
    for cut in (1, 2):
        assert decode(data[:-cut]).startswith(FRENCH + JAPANESE[:-2])


def test_a_few_bad_bytes_do_not_turn_utf_8_into_another_encoding():
    data = (FRENCH * 5).encode() + b"\xff\xfe\xc3" + (FRENCH * 5).encode()
    text = decode(data)
    assert text.startswith(FRENCH * 5)
    assert text.endswith(FRENCH * 5)
    assert "\ufffd" in text


def test_a_declared_encoding_is_used_where_the_bytes_do_not_speak_for_themselves():
    polish = "Zażółć gęślą jaźń"
    assert decode(polish.encode("cp1250"), declared="windows-1250") == polish
    assert decode(polish.encode("iso8859-2"), declared="ISO-8859-2") == polish
    assert decode(polish.encode(), declared="iso-8859-2") == polish


def test_declared_latin_1_is_windows_1252_as_on_the_web():
    assert decode("“5 €”".encode("cp1252"), declared="iso-8859-1") == "“5 €”"


@pytest.mark.parametrize(
    "declared", ["base64", "no such", "utf-16", "unicode_escape", "idna", "undefined", ""]
)
def test_a_declaration_that_names_no_encoding_of_documents_is_ignored(declared):
    assert decode("café".encode("cp1252"), declared=declared) == "café"


def test_every_line_end_becomes_a_line_feed():
    assert decode(b"a\r\nb\rc\n\r\r\nd") == "a\nb\nc\n\n\nd"


def test_nul_and_lone_surrogates_are_replaced_one_for_one():
    assert clean("a\0b\ud800c\udfff\r\nd") == "a\ufffdb\ufffdc\ufffd\nd"
    assert clean("\U0001f600") == "\U0001f600"
    assert decode(b"a\0b") == "a\ufffdb"


@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "cp1251", "shift_jis", "nonsense"]))
def test_any_bytes_become_clean_text(data, declared):
    text = decode(data, declared=declared)
    assert "\0" not in text
    assert "\r" not in text
    assert text == text.encode("utf-8").decode("utf-8")


@given(st.text(max_size=400))
def test_text_survives_utf_8(text):
    expected = clean(text)
    assert clean(expected) == expected
    assert decode(text.encode("utf-8", errors="replace")) == clean(
        text.encode("utf-8", errors="replace").decode().removeprefix("\ufeff")
    )
