"""Changes to files that parsers meet: flipped bits, cuts, repetitions, numbers at their limits.

Half of the changes to archives are made to a part within, which is packed again, because a change to packed
bytes rarely gets further than the checksum.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

_LIMITS = (b"0", b"-1", b"2147483648", b"99999999999999999999", b"1e999", b"\xff\xff\xff\xff", b"\0\0\0\0")
_SIGNS = (
    b"<",
    b">",
    b"&",
    b'"',
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"/",
    b"\\",
    b"\0",
    b"\n",
    b"\x80",
    b"%",
)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with something wrong."""
    if data.startswith(b"PK\x03\x04") and rng.random() < 0.5:
        return _within_archive(data, rng)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data = rng.choice(_CHANGES)(data, rng)
    return data


def _within_archive(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    name = rng.choice(sorted(parts))
    parts[name] = mutated(parts[name], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for each, content in parts.items():
            packed.writestr(each, content)
    return stream.getvalue()


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + rng.randint(1, 64) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    piece = data[start : start + rng.randint(1, 200)]
    return data[:start] + piece * rng.randint(2, 500) + data[start:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.choice(_SIGNS) * rng.choice((1, 1, 3, 1_000)) + data[start:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """A number, if one is near, becomes one at a limit."""
    start = _place(data, rng)
    digits = next((place for place in range(start, len(data)) if data[place : place + 1].isdigit()), None)
    if digits is None:
        return _flip(data, rng)
    end = digits
    while data[end : end + 1].isdigit():
        end += 1
    return data[:digits] + rng.choice(_LIMITS) + data[end:]


def _swap(data: bytes, rng: random.Random) -> bytes:
    first, second, third = sorted(_place(data, rng) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _remove, _repeat, _insert, _number, _number, _swap,
)  # fmt: skip
