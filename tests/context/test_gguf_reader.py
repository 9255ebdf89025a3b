"""The bounded GGUF reader against damage and malice: a clear error, and never much memory."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragstack.context.architectures.gguf import GgufHeader, Skipped, read_header
from ragstack.errors import ArchitectureError

MOST_MEMORY = 50 * 2**20

UINT32, BOOL, STRING, ARRAY, UINT64 = 4, 7, 8, 9, 10


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def header(
    *entries: bytes,
    tensors: bytes = b"",
    tensor_count: int = 0,
    entry_count: int | None = None,
    version: int = 3,
) -> bytes:
    count = len(entries) if entry_count is None else entry_count
    return b"GGUF" + struct.pack("<IQQ", version, tensor_count, count) + b"".join(entries) + tensors


def tensor(
    name: bytes = b"t", shape: tuple[int, ...] = (4,), kind: int = 0, dimensions: int | None = None
) -> bytes:
    count = len(shape) if dimensions is None else dimensions
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, kind, 0)


def read_bounded(path: Path, content: bytes) -> GgufHeader:
    """Reads `content` from a file, and fails when that takes more than the allowed memory."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return read_header(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST_MEMORY


HOSTILE = {
    "empty": b"",
    "another format": b"PK\x03\x04" + bytes(100),
    "magic alone": b"GGUF",
    "version 1": header(version=1),
    "version from the future": header(version=99),
    "huge number of tensors": header(tensor_count=2**63),
    "many tensors that are not there": header(tensor_count=60_000),
    "huge number of entries": header(entry_count=2**64 - 1),
    "entries that are not there": header(entry_count=1_000),
    "huge key": header(text(b"", length=2**62), entry_count=1),
    "negative length of a key": header(text(b"", length=2**64 - 1), entry_count=1),
    "key that is not UTF-8": header(entry(b"\xff\xfe", UINT32, bytes(4))),
    "text that is not UTF-8": header(entry(b"k", STRING, text(b"\xc3\x28"))),
    "huge text": header(entry(b"k", STRING, text(b"x", length=2**60))),
    "text past the end": header(entry(b"k", STRING, text(b"x", length=10_000))),
    "unknown type": header(entry(b"k", 77, bytes(8))),
    "huge list of numbers": header(entry(b"k", ARRAY, struct.pack("<IQ", UINT64, 2**61) + bytes(64))),
    "huge list of texts": header(entry(b"k", ARRAY, struct.pack("<IQ", STRING, 2**61) + bytes(64))),
    "list of texts, one too long": header(
        entry(b"k", ARRAY, struct.pack("<IQ", STRING, 2) + text(b"a") + text(b"b", length=2**50))
    ),
    "list of lists": header(entry(b"k", ARRAY, struct.pack("<IQ", ARRAY, 2**20) + bytes(64))),
    "list of an unknown type": header(entry(b"k", ARRAY, struct.pack("<IQ", 55, 1) + bytes(64))),
    "tensor of many dimensions": header(tensors=tensor(dimensions=2**31) + bytes(64), tensor_count=1),
    "tensor of too many elements": header(tensors=tensor(shape=(2**40, 2**40)), tensor_count=1),
    "tensor of an unknown type": header(tensors=tensor(kind=999), tensor_count=1),
    "tensor with a huge name": header(tensors=text(b"", length=2**40) + bytes(64), tensor_count=1),
    "tensor whose name is not UTF-8": header(tensors=tensor(name=b"\xff"), tensor_count=1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_a_clear_error_within_50_mb(tmp_path, name):
    with pytest.raises(ArchitectureError) as caught:
        read_bounded(tmp_path / "m.gguf", HOSTILE[name])
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_many_small_entries_cannot_fill_memory(tmp_path):
    """Every entry is honest by itself, and together they would be far too much."""
    one = entry(b"k" * 60_000, UINT32, bytes(4))
    with pytest.raises(ArchitectureError, match="metadata exceed"):
        read_bounded(tmp_path / "m.gguf", header(*[one] * 400))


def test_many_kept_lists_cannot_fill_memory(tmp_path):
    value = struct.pack("<IQ", BOOL, 4_000) + bytes(4_000)
    entries = [entry(f"k{i}".encode(), ARRAY, value) for i in range(4_000)]
    with pytest.raises(ArchitectureError, match="metadata exceed"):
        read_bounded(tmp_path / "m.gguf", header(*entries))


@pytest.mark.parametrize(
    "lengths", [[2**20], [2**18 - 8] * 3, [2**18 - 1, 0, 2**18 + 1], [0] * 70_000, [5] * 9]
)
def test_what_follows_a_list_of_texts_of_any_length_is_read_right(tmp_path, lengths):
    words = b"".join(text(b"w" * length) for length in lengths)
    content = header(
        entry(b"tokens", ARRAY, struct.pack("<IQ", STRING, len(lengths)) + words),
        entry(b"after", UINT32, struct.pack("<I", 7)),
    )
    assert read_bounded(tmp_path / "m.gguf", content).metadata == {
        "tokens": Skipped(len(lengths)),
        "after": 7,
    }
    with pytest.raises(ArchitectureError):
        read_bounded(tmp_path / "cut.gguf", content[: -len(entry(b"after", UINT32, bytes(4))) - 1])


def test_large_vocabularies_and_long_texts_are_counted_and_not_kept(tmp_path):
    words = b"".join(text(b"word") for _ in range(200_000))
    content = header(
        entry(b"tokens", ARRAY, struct.pack("<IQ", STRING, 200_000) + words),
        entry(b"scores", ARRAY, struct.pack("<IQ", UINT64, 100_000) + bytes(800_000)),
        entry(b"template", STRING, text(b"x" * 100_000)),
        entry(b"last", UINT32, struct.pack("<I", 7)),
    )
    metadata = read_bounded(tmp_path / "m.gguf", content).metadata
    assert metadata == {
        "tokens": Skipped(200_000),
        "scores": Skipped(100_000),
        "template": Skipped(100_000),
        "last": 7,
    }


@pytest.fixture(scope="module")
def real_file(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_token_list([f"token {i}" for i in range(50)])
    writer.add_array("llama.list", [1, 2, 3])
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((8, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_a_header_cut_anywhere_is_a_clear_error(tmp_path, real_file):
    complete = real_file.index(b"blk.0.attn_q.weight") + 19 + 4 + 2 * 8 + 4 + 8
    path = tmp_path / "m.gguf"
    for length in range(complete):
        path.write_bytes(real_file[:length])
        with pytest.raises(ArchitectureError):
            read_header(path)
    path.write_bytes(real_file[:complete])
    assert read_header(path).weight_bytes == 8 * 32 * 2


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_a_header_is_an_error_or_a_reading_and_never_a_crash(tmp_path, real_file, data):
    content = bytearray(real_file)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(4, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    with suppress(ArchitectureError):
        read_bounded(tmp_path / "m.gguf", bytes(content))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ArchitectureError, match="cannot read"):
        read_header(tmp_path / "nowhere.gguf")
