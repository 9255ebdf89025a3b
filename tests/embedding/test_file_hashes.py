"""Hashes are right, and remembered only while the file stays what it was."""

import hashlib
import json
import os

import pytest

from ragstack.embedding import file_hashes
from ragstack.embedding.file_hashes import file_sha256

LARGE = b"weights " * (file_hashes.REMEMBERED_FROM_BYTES // 8)


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    path = tmp_path / "cache" / "file-hashes.json"
    monkeypatch.setattr(file_hashes, "_memory_path", lambda: path)
    monkeypatch.setattr(file_hashes, "SETTLED_AFTER_NS", -1)
    return path


@pytest.fixture
def large_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    return path


def test_the_hash_is_the_sha256_of_the_bytes(tmp_path, large_file):
    small = tmp_path / "small"
    small.write_bytes(b"abc")

    assert file_sha256(small) == hashlib.sha256(b"abc").hexdigest()
    assert file_sha256(large_file) == hashlib.sha256(LARGE).hexdigest()


def test_an_unchanged_large_file_is_not_read_again(large_file, memory):
    file_sha256(large_file)
    entry = json.loads(memory.read_text())
    entry[str(large_file)][-1] = "remembered"
    memory.write_text(json.dumps(entry))

    assert file_sha256(large_file) == "remembered"


def test_a_link_shares_the_memory_of_its_file(tmp_path, large_file, memory):
    link = tmp_path / "link"
    link.symlink_to(large_file)
    file_sha256(link)

    assert list(json.loads(memory.read_text())) == [str(large_file)]


def test_a_small_file_is_always_read(tmp_path, memory):
    small = tmp_path / "small"
    small.write_bytes(b"abc")
    file_sha256(small)

    assert not memory.exists()


def test_an_edit_that_keeps_size_and_modification_time_is_seen(large_file):
    file_sha256(large_file)
    stat = large_file.stat()
    with large_file.open("r+b") as file:
        file.write(b"W")
    os.utime(large_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert file_sha256(large_file) == hashlib.sha256(b"W" + LARGE[1:]).hexdigest()


def test_a_replaced_file_is_hashed_again(tmp_path, large_file):
    file_sha256(large_file)
    other = tmp_path / "other"
    other.write_bytes(LARGE.upper())
    other.replace(large_file)

    assert file_sha256(large_file) == hashlib.sha256(LARGE.upper()).hexdigest()


def test_a_file_written_a_moment_ago_is_not_remembered(large_file, memory, monkeypatch):
    monkeypatch.setattr(file_hashes, "SETTLED_AFTER_NS", 3_600_000_000_000)
    file_sha256(large_file)

    assert not memory.exists()


@pytest.mark.parametrize("garbage", ["", "[]", "{", '{"path": 3}', '{"path": [1]}'])
def test_a_garbled_memory_is_an_empty_one(garbage, large_file, memory):
    memory.parent.mkdir()
    memory.write_text(garbage)

    assert file_sha256(large_file) == hashlib.sha256(LARGE).hexdigest()
    assert json.loads(memory.read_text())[str(large_file)][-1] == hashlib.sha256(LARGE).hexdigest()


def test_hashes_of_deleted_files_are_forgotten(tmp_path, large_file, memory):
    other = tmp_path / "other"
    other.write_bytes(LARGE)
    file_sha256(other)
    other.unlink()
    file_sha256(large_file)

    assert list(json.loads(memory.read_text())) == [str(large_file)]


def test_a_cache_directory_that_cannot_be_made_does_not_matter(tmp_path, large_file, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(file_hashes, "_memory_path", lambda: tmp_path / "file" / "file-hashes.json")

    assert file_sha256(large_file) == hashlib.sha256(LARGE).hexdigest()
