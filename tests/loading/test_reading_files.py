import hashlib
import os
from pathlib import Path

import pytest

from ragstack.errors import LoadingError
from ragstack.loading.files import read_bytes, read_head, stat_file


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"some words\r\n")
    return path


def test_content_is_returned_with_its_hash_and_stat(note):
    content = read_bytes(note)
    assert content.data == b"some words\r\n"
    assert content.sha256 == hashlib.sha256(b"some words\r\n").hexdigest()
    assert content.stat == stat_file(note)
    assert content.stat.size == 12
    assert content.stat.inode == note.stat().st_ino
    assert content.stat.mtime_ns == note.stat().st_mtime_ns


def test_an_empty_file_has_no_bytes(tmp_path):
    (tmp_path / "empty").touch()
    assert read_bytes(tmp_path / "empty").data == b""


def test_a_file_larger_than_one_read_is_read_whole(tmp_path):
    path = tmp_path / "large"
    data = os.urandom(3 * 1024 * 1024 + 17)
    path.write_bytes(data)
    assert read_bytes(path).data == data


def test_a_link_is_not_followed(tmp_path, note):
    link = tmp_path / "link.txt"
    link.symlink_to(note)
    for read in (read_bytes, stat_file, lambda path: read_head(path, 10)):
        with pytest.raises(LoadingError, match="is a symbolic link"):
            read(link)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for read in (read_bytes, stat_file, lambda path: read_head(path, 10)):
        with pytest.raises(LoadingError, match="not a regular file"):
            read(pipe)


def test_a_device_is_refused():
    with pytest.raises(LoadingError, match="not a regular file"):
        read_bytes(Path(os.devnull))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(LoadingError, match="is a folder"):
        read_bytes(tmp_path)


def test_a_missing_file_is_named_as_such(tmp_path):
    with pytest.raises(LoadingError, match="no such file"):
        read_bytes(tmp_path / "gone")


def test_an_impossible_name_is_an_error_of_ours():
    with pytest.raises(LoadingError, match="not a possible file name"):
        read_bytes(Path("a\0b"))


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    sparse = tmp_path / "sparse.txt"
    with sparse.open("wb") as file:
        file.truncate(10 * 1024**3)
    with pytest.raises(LoadingError, match=r"10,240 MiB is larger than the limit of 100 MiB"):
        read_bytes(sparse)


def test_the_limit_is_in_bytes(note):
    assert read_bytes(note, max_bytes=12).stat.size == 12
    with pytest.raises(LoadingError, match="12 bytes is larger than the limit of 11 bytes"):
        read_bytes(note, max_bytes=11)


def test_a_file_that_changed_while_it_was_read_is_read_again(note, monkeypatch):
    original, changes = os.read, iter([b"other words, and more of them"])

    def read_and_change(descriptor, length):
        data = original(descriptor, length)
        for change in changes:
            note.write_bytes(change)
        return data

    monkeypatch.setattr(os, "read", read_and_change)
    assert read_bytes(note).data == b"other words, and more of them"


def test_a_file_that_keeps_changing_is_given_up(note, monkeypatch):
    original = os.read

    def read_and_grow(descriptor, length):
        data = original(descriptor, length)
        with note.open("ab") as file:
            file.write(b"!")
        return data

    monkeypatch.setattr(os, "read", read_and_grow)
    with pytest.raises(LoadingError, match="changed while it was read") as caught:
        read_bytes(note)
    assert caught.value.hint


def test_no_descriptor_is_left_open(note, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    before = descriptors()
    for _ in range(3):
        read_bytes(note)
        read_head(note, 3)
        with pytest.raises(LoadingError):
            read_bytes(tmp_path / "pipe")
        with pytest.raises(LoadingError):
            read_bytes(note, max_bytes=1)
    assert descriptors() == before


def descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_the_head_is_cut_at_its_length(note):
    assert read_head(note, 4) == b"some"
    assert read_head(note, 400) == b"some words\r\n"
