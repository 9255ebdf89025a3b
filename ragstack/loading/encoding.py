"""Turns bytes into clean text: finds the encoding, normalises line ends, replaces what no later stage bears.

After this module every text is free of NUL and lone surrogates and has the line feed as its only line end, so
line n stays line n and an offset never shifts again. It knows nothing of formats and their structure.
"""

from __future__ import annotations

import codecs
import re

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Only these are taken from detection: western texts are told apart badly (French was found to be cp1250 and
# cp1256), while scripts whose letters are nearly all above ASCII were found in 38 of 39 trials.
_DETECTABLE = [
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
    "cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic",
    "cp1253", "cp1255", "cp1256", "cp874",
]  # fmt: skip
_DETECTION_BYTES = 64 * 1024

# Letters above ASCII stand alone in western words (mean run 1.0 to 1.5) and in rows elsewhere (1.6 and more).
_FOREIGN_SCRIPT_RUN = 1.55
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")

# Python knows codecs that are no encodings (base64, idna); UTF-16 and -32 cannot declare themselves in ASCII.
_DECLARABLE = re.compile(
    r"cp(125\d|8\d\d|9\d\d)|iso8859-\d+|koi8-[rtu]|mac-\w+|gb\w+|big5\w*|shift_jis\w*|euc_\w+|iso2022_\w+|tis-620"
)

_GOOD_PER_BAD = 10
_NOT_ASCII = bytes(range(0x80, 0x100))

_SURROGATES = re.compile("[\ud800-\udfff]")


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Clean text of `data`; never fails, for the last rung reads any byte.

    The rungs: byte order mark, strict UTF-8, UTF-8 with a few bad bytes or a cut-off tail, the encoding that
    the document `declared`, one that is detected, Windows-1252. What cannot be decoded becomes U+FFFD.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return clean(data[len(mark) :].decode(encoding, errors="replace"))
    try:
        return clean(_strict(data))
    except UnicodeDecodeError:
        pass
    return clean(_nearly_utf8(data) or _as_declared(data, declared) or _as_detected(data))


def clean(text: str) -> str:
    """The text with LF for every CR LF and CR, and U+FFFD for every NUL and lone surrogate, one for one."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _strict(data: bytes) -> str:
    """UTF-8, or ISO-2022-JP and -KR, whose bytes are all ASCII and would pass as UTF-8."""
    text = data.decode("utf-8")
    if "\x1b$" not in text or not text.isascii():
        return text
    try:
        return data.decode("iso2022_kr" if "\x1b$)C" in text else "iso2022_jp_2")
    except UnicodeDecodeError:
        return text


def _nearly_utf8(data: bytes) -> str | None:
    """UTF-8 with bad bytes replaced, if good sequences far outnumber them or only the last one is cut off."""
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = len(text) - bad - len(data.translate(None, _NOT_ASCII))
    cut_off = bad == 1 and text.endswith("\ufffd")
    return text if good >= _GOOD_PER_BAD * bad or (cut_off and good > 0) else None


def _as_declared(data: bytes, declared: str | None) -> str | None:
    """In the encoding that the document names, if it is one that documents are really written in."""
    try:
        encoding = codecs.lookup(declared or "").name
    except (LookupError, ValueError):
        return None
    if encoding in ("iso8859-1", "ascii"):  # what pages call so is Windows-1252 (WHATWG Encoding Standard)
        encoding = "cp1252"
    if _DECLARABLE.fullmatch(encoding) is None:
        return None
    return data.decode(encoding, errors="replace")


def _as_detected(data: bytes) -> str:
    head = data[:_DETECTION_BYTES]
    runs = _HIGH_BYTES.findall(head)
    encoding = "cp1252"
    if sum(map(len, runs)) >= _FOREIGN_SCRIPT_RUN * len(runs):
        from charset_normalizer import from_bytes

        best = from_bytes(_whole_lines(head), cp_isolation=_DETECTABLE).best()
        encoding = best.encoding if best is not None else encoding
    return data.decode(encoding, errors="replace")


def _whole_lines(head: bytes) -> bytes:
    """Without the last, cut-off line, which may end within a character."""
    if len(head) < _DETECTION_BYTES:
        return head
    return head[: head.rfind(b"\n") + 1] or head
