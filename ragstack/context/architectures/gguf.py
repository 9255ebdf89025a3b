"""A bounded reader of GGUF headers: metadata and tensor types, never a weight.

Every count in the file is checked against what the rest of the file could hold before anything is
allocated for it, and long values are skipped, so that a hostile header costs little memory and ends in an
error that says what is wrong. What the metadata mean is `gguf_models`' business.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, either byte order.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ragstack.context.architectures.quantization import ggml_type
from ragstack.errors import ArchitectureError

MAGIC = b"GGUF"

# Real files: under 100 metadata entries, under 10,000 tensors, names under 64 bytes (GGML_MAX_NAME).
LARGEST_METADATA_COUNT = 16_384
LARGEST_TENSOR_COUNT = 65_536
LONGEST_KEY = 65_535
LONGEST_TENSOR_NAME = 1_024
MOST_DIMENSIONS = 8
LARGEST_ELEMENT_COUNT = 2**48

# What is kept of values: per-layer lists and short texts. Chat templates and vocabularies are counted only.
LONGEST_KEPT_TEXT = 4_096
LONGEST_KEPT_LIST = 4_096
KEPT_BYTES = 8 * 2**20

# What is read of a vocabulary at a time.
_PIECE = 2**18

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Skipped:
    """Stands for a value too long to keep: `length` elements of a list, or bytes of a text."""

    length: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header lists it: its shape and its bytes, not its numbers."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The metadata and the tensors of one file."""

    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors, exactly as the file stores them, without alignment."""
        return sum(tensor.bytes for tensor in self.tensors)


def read_header(path: Path) -> GgufHeader:
    """The header of the GGUF file at `path`.

    Raises ArchitectureError, naming what is wrong, when the file is none, ends too early, or states
    counts, lengths or types that cannot be.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size, f"`{path}`").header()
    except OSError as error:
        raise ArchitectureError(f"cannot read `{path}`: {error.strerror}") from error


def read_all_shards(path: Path) -> tuple[GgufHeader, ...]:
    """The header of `path` and, if it is one part of a split model, those of the other parts.

    The first part, which carries the metadata, comes first. Raises ArchitectureError when one is missing.
    """
    match = re.fullmatch(r"(.*)-(\d{5})-of-(\d{5})\.gguf", path.name)
    if match is None:
        return (read_header(path),)
    stem, _, count = match.groups()
    if int(count) > 1_000:
        raise ArchitectureError(f"`{path}` claims to be one of {int(count)} parts", hint="rename the file")
    parts = [path.with_name(f"{stem}-{part:05d}-of-{count}.gguf") for part in range(1, int(count) + 1)]
    for part in parts:
        if not part.is_file():
            raise ArchitectureError(f"`{part}` is missing", hint="put all parts of the model into one folder")
    return tuple(read_header(part) for part in parts)


class _Reader:
    """A cursor over the header; refuses to read past the end or to build what the file cannot hold."""

    def __init__(self, file: BinaryIO, size: int, source: str) -> None:
        self.file = file
        self.size = size
        self.source = source
        self.order = "<"
        self.kept = 0

    def header(self) -> GgufHeader:
        if self.take(4) != MAGIC:
            raise self.error("it does not start with GGUF", hint="name a .gguf file")
        version = self.number("I")
        if version > 0xFFFF:  # written on a machine of the other byte order
            self.order = ">"
            version = int.from_bytes(struct.pack("<I", version), "big")
        if version not in (2, 3):
            raise self.error(
                f"version {version} is not supported", hint="convert the model again with llama.cpp"
            )
        tensor_count = self.count("Q", "tensors", LARGEST_TENSOR_COUNT, smallest=24)
        metadata_count = self.count("Q", "metadata entries", LARGEST_METADATA_COUNT, smallest=13)
        metadata = dict(self.entry() for _ in range(metadata_count))
        return GgufHeader(metadata, tuple(self.tensor() for _ in range(tensor_count)))

    def error(
        self, reason: str, *, hint: str = "the file is damaged or incomplete: download it again"
    ) -> ArchitectureError:
        return ArchitectureError(f"{self.source} is no usable GGUF file: {reason}", hint=hint)

    # ------------------------------------------------------------- primitives

    def remaining(self) -> int:
        return self.size - self.file.tell()

    def take(self, length: int) -> bytes:
        if length > self.remaining():
            raise self.error(f"it ends after {self.size:,} bytes, in the middle of its header")
        return self.file.read(length)

    def skip(self, length: int) -> None:
        if length > self.remaining():
            raise self.error(f"it ends after {self.size:,} bytes, in the middle of its header")
        self.file.seek(length, 1)

    def number(self, code: str) -> Any:
        return struct.unpack(self.order + code, self.take(struct.calcsize("<" + code)))[0]

    def count(self, code: str, what: str, largest: int, *, smallest: int) -> int:
        """A count of things of at least `smallest` bytes each, refused when they cannot be there."""
        value = int(self.number(code))
        if value > largest or value * smallest > self.remaining():
            raise self.error(f"it claims {value:,} {what}")
        return value

    def text(self, what: str, longest: int) -> str:
        length = self.count("Q", f"bytes of {what}", longest, smallest=1)
        return self.decode(self.take(length), what)

    def decode(self, raw: bytes, what: str) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is not UTF-8") from error

    # ----------------------------------------------------------------- values

    def entry(self) -> tuple[str, Any]:
        key = self.text("a metadata key", LONGEST_KEY)
        self.keep(len(key))
        return key, self.value(self.number("I"), key)

    def keep(self, size: int) -> None:
        self.kept += size
        if self.kept > KEPT_BYTES:
            raise self.error(f"its metadata exceed {KEPT_BYTES:,} bytes")

    def value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self.string_value(key)
        if kind == _ARRAY:
            return self.array(key)
        if kind not in _FORMATS:
            raise self.error(f"`{key}` has the unknown type {kind}")
        return self.number(_FORMATS[kind])

    def string_value(self, key: str) -> str | Skipped:
        length = self.count("Q", f"bytes of `{key}`", self.size, smallest=1)
        if length > LONGEST_KEPT_TEXT:
            self.skip(length)
            return Skipped(length)
        self.keep(length)
        return self.decode(self.take(length), f"`{key}`")

    def array(self, key: str) -> tuple[Any, ...] | Skipped:
        kind = self.number("I")
        if kind == _ARRAY:
            raise self.error(f"`{key}` is a list of lists")
        if kind == _STRING:
            return self.skip_strings(key)
        if kind not in _FORMATS:
            raise self.error(f"`{key}` is a list of the unknown type {kind}")
        width = struct.calcsize("<" + _FORMATS[kind])
        count = self.count("Q", f"elements of `{key}`", self.size, smallest=width)
        if count > LONGEST_KEPT_LIST:
            self.skip(count * width)
            return Skipped(count)
        self.keep(count * 32)
        return struct.unpack(f"{self.order}{count}{_FORMATS[kind]}", self.take(count * width))

    def skip_strings(self, key: str) -> Skipped:
        """Lists of texts are vocabularies: only their length is of interest.

        There are hundreds of thousands of them, so their lengths are read out of large pieces of the file: a
        call of the system for each took seconds.
        """
        count = self.count("Q", f"elements of `{key}`", self.size, smallest=8)
        left = count
        while left:
            left -= self.skip_strings_of_piece(left, key)
        return Skipped(count)

    def skip_strings_of_piece(self, most: int, key: str) -> int:
        """Skip the texts whose lengths the next piece of the file holds, at most `most`; return how many."""
        start = self.file.tell()
        piece = self.file.read(_PIECE)
        if len(piece) < 8:
            raise self.error(f"it ends after {self.size:,} bytes, in the middle of its header")
        length_at = struct.Struct(self.order + "Q").unpack_from
        last = len(piece) - 8
        place = length = skipped = 0
        while place <= last and skipped < most:
            (length,) = length_at(piece, place)
            place += 8 + length
            skipped += 1
        if start + place > self.size:
            raise self.error(f"it claims {length:,} bytes of a text in `{key}`")
        self.file.seek(start + place)
        return skipped

    # ---------------------------------------------------------------- tensors

    def tensor(self) -> Tensor:
        name = self.text("a tensor's name", LONGEST_TENSOR_NAME)
        self.keep(len(name) + 128)
        dimensions = self.number("I")
        if dimensions > MOST_DIMENSIONS:
            raise self.error(f"tensor `{name}` claims {dimensions:,} dimensions")
        shape = tuple(int(self.number("Q")) for _ in range(dimensions))
        elements = 1
        for size in shape:
            elements *= size
        if elements > LARGEST_ELEMENT_COUNT:
            raise self.error(f"tensor `{name}` claims {elements:,} elements")
        kind = ggml_type(self.number("I"))
        self.number("Q")  # the offset of its data, which are never read
        return Tensor(name, shape, kind.name, kind.bytes_for(elements))
