import os
import unicodedata

import pytest

from ragstack.errors import LoadingError
from ragstack.loading.walk import discover


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def write(root, *names, content="words"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def paths(discovery):
    return [file.path for file in discovery.files]


def reasons(entries):
    return {entry.path: entry.reason for entry in entries}


def test_files_are_found_in_order_with_their_place_and_stat(root):
    write(root, "b.md", "a/c.txt", "a.html")
    found = discover(root)
    assert paths(found) == ["a.html", "a/c.txt", "b.md"]
    assert found.root == root.resolve()
    assert found.complete
    assert [file.absolute for file in found.files] == [root / "a.html", root / "a/c.txt", root / "b.md"]
    assert found.files[2].stat.size == 5
    assert found.files[2].stat.inode == (root / "b.md").stat().st_ino


def test_an_empty_folder_has_no_files(root):
    assert discover(root).files == ()


def test_hidden_files_and_folders_are_skipped_as_one_entry_each(root):
    write(root, ".secret.md", ".git/config.txt", ".git/x/y.txt", "seen.md")
    found = discover(root)
    assert paths(found) == ["seen.md"]
    assert reasons(found.skipped) == {".secret.md": "hidden", ".git/": "hidden"}


def test_a_hidden_folder_that_is_named_is_walked(root):
    write(root, ".notes/a.md")
    assert paths(discover(root / ".notes")) == ["a.md"]


def test_ignore_rules_skip_files_and_whole_folders_with_the_file_that_says_so(root):
    write(root, ".gitignore", content="*.log\nbuild/\n/top.md\n!kept.log\n")
    write(root, "a.log", "kept.log", "build/b.md", "build/c/d.md", "top.md", "sub/top.md", "sub/e.log")
    found = discover(root)
    assert paths(found) == ["kept.log", "sub/top.md"]
    assert reasons(found.skipped) == {
        ".gitignore": "hidden",
        "a.log": "ignored by .gitignore",
        "build/": "ignored by .gitignore",
        "top.md": "ignored by .gitignore",
        "sub/e.log": "ignored by .gitignore",
    }


def test_an_ignore_file_counts_from_its_own_folder_down_and_the_nearest_decides(root):
    write(root, ".gitignore", content="*.txt\n")
    write(root, "sub/.gitignore", content="!*.txt\n/only.md\n")
    write(root, "a.txt", "only.md", "sub/a.txt", "sub/only.md", "sub/deep/only.md", "sub/deep/a.txt")
    found = discover(root)
    assert paths(found) == ["only.md", "sub/a.txt", "sub/deep/a.txt", "sub/deep/only.md"]
    assert reasons(found.skipped)["sub/only.md"] == "ignored by sub/.gitignore"


def test_own_rules_are_stronger_than_git_rules_even_from_further_up(root):
    write(root, ".ragstackignore", content="!notes.log\ndrafts/\n")
    write(root, "sub/.gitignore", content="*.log\n!drafts/\n")
    write(root, "sub/notes.log", "sub/other.log", "sub/drafts/a.md")
    found = discover(root)
    assert paths(found) == ["sub/notes.log"]
    assert reasons(found.skipped)["sub/drafts/"] == "ignored by .ragstackignore"


def test_rules_of_the_folders_above_the_named_one_do_not_count(root):
    write(root, ".gitignore", content="docs/\n*.md\n")
    write(root, "docs/a.md")
    assert paths(discover(root / "docs")) == ["a.md"]


def test_ignore_rules_are_read_in_any_encoding_and_line_ending(root):
    write(root, ".gitignore", content="\ufeff# comment\r\nsecret.md\r\n".encode())
    write(root, "sub/.gitignore", content="s\u00fcd.md\n".encode("cp1252"))
    write(root, "secret.md", "sub/s\u00fcd.md", "sub/nord.md")
    assert paths(discover(root)) == ["sub/nord.md"]


def test_a_line_that_is_no_rule_is_reported_and_the_others_hold(root):
    write(root, ".gitignore", content="[z-a].md\n*a*a*a*a*a*.md\n*.log\n")
    write(root, "a.md", "b.log")
    found = discover(root)
    assert paths(found) == ["a.md"]
    complaints = [entry.reason for entry in found.skipped if entry.path == ".gitignore"]
    assert any(reason.startswith("line 1 is not a rule") for reason in complaints)
    assert any(reason.startswith("line 2 is not a rule") for reason in complaints)


def test_ignore_rules_that_cannot_be_read_are_a_failure(root, tmp_path):
    (tmp_path / "rules").write_text("*.md\n")
    (root / ".gitignore").symlink_to(tmp_path / "rules")
    write(root, "a.md")
    found = discover(root)
    assert paths(found) == ["a.md"]
    assert reasons(found.failed) == {".gitignore": "ignore rules not applied: is a symbolic link"}


def test_folders_that_programs_fill_are_left_out_unless_a_rule_takes_them_back(root):
    write(
        root, "node_modules/pkg/README.md", "__pycache__/a.txt", "venv/pyvenv.cfg", "venv/lib/a.txt", "a.md"
    )
    found = discover(root)
    assert paths(found) == ["a.md"]
    assert reasons(found.skipped) == {
        "node_modules/": "node_modules folders are left out",
        "__pycache__/": "__pycache__ folders are left out",
        "venv/": "a Python virtual environment",
    }
    write(root, ".ragstackignore", content="!node_modules/\n")
    assert paths(discover(root)) == ["a.md", "node_modules/pkg/README.md"]


def test_links_to_files_and_folders_are_not_followed(root, tmp_path):
    write(tmp_path, "outside/secret.md")
    write(root, "a.md")
    (root / "link.md").symlink_to(tmp_path / "outside/secret.md")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "dangling.md").symlink_to(root / "nothing.md")
    found = discover(root)
    assert paths(found) == ["a.md"]
    assert set(reasons(found.skipped).values()) == {"a symbolic link"}
    assert len(found.skipped) == 4


def test_a_link_that_is_named_is_followed(root, tmp_path):
    write(root, "a.md")
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "link.md").symlink_to(root / "a.md")
    assert discover(tmp_path / "link").root == root.resolve()
    assert discover(tmp_path / "link.md").files[0].absolute == (root / "a.md").resolve()


def test_files_without_a_reader_are_skipped_by_their_ending(root):
    write(root, "a.png", "README", "b.tar.gz", "c.MD")
    found = discover(root)
    assert paths(found) == ["c.MD"]
    assert reasons(found.skipped) == {
        "a.png": "no reader for .png files",
        "README": "no reader for files without an ending",
        "b.tar.gz": "no reader for .gz files",
    }


def test_text_files_with_nul_bytes_are_skipped_as_binary(root):
    write(root, "data.txt", content=b"ab\0cd")
    write(root, "late.txt", content=b"a" * 100_000 + b"\0")
    write(root, "wide.txt", content="words".encode("utf-16"))
    found = discover(root)
    assert paths(found) == ["late.txt", "wide.txt"]
    assert reasons(found.skipped) == {"data.txt": "binary: it holds NUL bytes"}


def test_a_mislabelled_file_is_passed_on_so_that_its_reader_can_say_what_it_is(root):
    write(root, "image.txt", content=b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert paths(discover(root)) == ["image.txt"]


def test_a_file_that_is_known_unchanged_is_not_opened(root, monkeypatch):
    write(root, "a.txt", content=b"ab\0cd")
    write(root, "b.txt", content=b"ab\0cd")
    stats = {name: discover_stat(root / name) for name in ("a.txt",)}
    assert paths(discover(root, known=stats)) == ["a.txt"]
    write(root, "a.txt", content=b"ab\0cdef")
    assert paths(discover(root, known=stats)) == []


def discover_stat(path):
    from ragstack.loading.files import stat_file

    return stat_file(path)


def test_pipes_and_sockets_are_skipped(root):
    os.mkfifo(root / "pipe.txt")
    found = discover(root)
    assert reasons(found.skipped) == {"pipe.txt": "not a regular file"}


def test_the_store_is_never_walked_wherever_it_lies_and_however_it_is_named(root, tmp_path):
    write(root, "a.md", "store/b.md", "deep/store/c.md")
    assert paths(discover(root, excluded=[root / "store", root / "deep/../deep/store"])) == ["a.md"]
    (tmp_path / "alias").symlink_to(root)
    found = discover(root, excluded=[tmp_path / "alias" / "store", tmp_path / "not there yet"])
    assert paths(found) == ["a.md", "deep/store/c.md"]
    assert reasons(found.skipped) == {"store/": "the store"}


def test_naming_the_store_or_something_in_it_is_an_error(root):
    write(root, "store/b.md")
    for path in (root / "store", root / "store/b.md"):
        with pytest.raises(LoadingError, match="belongs to a store"):
            discover(path, excluded=[root / "store"])


def test_a_single_file_is_found_with_its_folder_as_root_and_without_filters(root):
    write(root, ".gitignore", content="*\n")
    write(root, ".hidden.md", "a.md")
    for name in (".hidden.md", "a.md"):
        found = discover(root / name)
        assert found.root == root.resolve()
        assert paths(found) == [name]
        assert found.failed == ()


def test_a_named_file_that_cannot_be_read_is_a_failure_and_not_skipped(root):
    write(root, "a.png")
    write(root, "b.txt", content=b"\0\1")
    os.mkfifo(root / "c.txt")
    expected = {
        "a.png": "no reader for .png files",
        "b.txt": "binary: it holds NUL bytes",
        "c.txt": "not a regular file",
    }
    for name, reason in expected.items():
        found = discover(root / name)
        assert (found.files, found.skipped) == ((), ())
        assert reasons(found.failed) == {name: reason}


def test_a_missing_path_is_an_error_with_a_hint(root):
    with pytest.raises(LoadingError, match="no such file") as caught:
        discover(root / "gone")
    assert caught.value.hint


def test_a_loop_of_links_is_an_error(root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    with pytest.raises(LoadingError, match="cannot read"):
        discover(root / "a")


def test_a_folder_that_cannot_be_listed_makes_the_walk_incomplete_below_it(root, monkeypatch):
    write(root, "a.md", "closed/b.md", "open/c.md")
    original = os.scandir

    def scandir(path):
        if str(path).rstrip("/").endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = discover(root)
    assert paths(found) == ["a.md", "open/c.md"]
    assert not found.complete
    assert found.unlisted == ("closed/",)
    assert reasons(found.failed) == {"closed/": "cannot be listed: permission denied"}


def test_a_root_that_cannot_be_listed_vouches_for_nothing(root, monkeypatch):
    def scandir(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", scandir)
    found = discover(root)
    assert found.unlisted == ("",)
    assert reasons(found.failed) == {".": "cannot be listed: input/output error"}


def test_a_text_file_that_cannot_be_opened_is_a_failure(root, monkeypatch):
    write(root, "a.md", "b.md")
    original = os.open

    def deny(path, *arguments, **options):
        if str(path).endswith("a.md"):
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **options)

    monkeypatch.setattr(os, "open", deny)
    found = discover(root)
    assert paths(found) == ["b.md"]
    assert reasons(found.failed) == {"a.md": "permission denied"}
    assert found.complete


def test_names_are_compared_in_nfc(root):
    decomposed = unicodedata.normalize("NFD", "ca\u0301fé.md")
    write(root, f"d\u0065\u0301/{decomposed}", ".ragstackignore")
    write(root, "d\u0065\u0301/nai\u0308ve.md")
    write(root, ".ragstackignore", content="na\u00efve.md\n")
    found = discover(root)
    assert paths(found) == [unicodedata.normalize("NFC", f"d\u00e9/{decomposed}")]
    assert found.files[0].absolute.exists()


def test_two_names_that_differ_only_in_normalisation_do_not_overwrite_each_other(root):
    write(root, "sub/caf\u00e9.md", content="composed")
    write(root, "sub/cafe\u0301.md", content="decomposed")
    if len(list((root / "sub").iterdir())) == 1:
        return  # this file system takes both names for one, so that there is nothing to tell apart
    found = discover(root)
    assert paths(found) == ["sub/caf\u00e9.md"]
    assert found.files[0].absolute.read_text() == "composed"
    assert list(reasons(found.failed)) == ["sub/cafe\\u0301.md"]


def test_a_name_that_is_no_text_is_a_failure_with_an_escaped_name(root):
    try:
        (root / os.fsdecode(b"caf\xe9.md")).write_text("words")
    except (OSError, UnicodeError):
        return  # this system has no such names
    found = discover(root)
    assert found.files == ()
    assert reasons(found.failed) == {"caf\\xe9.md": "the name is not valid Unicode"}
    assert reasons(discover(root / os.fsdecode(b"caf\xe9.md")).failed) == reasons(found.failed)


def test_names_with_control_characters_are_found_as_they_are(root):
    write(root, "a\nb.md", "\x1b[31mred.md", "\u202egnp.md")
    assert set(paths(discover(root))) == {"a\nb.md", "\x1b[31mred.md", "\u202egnp.md"}


def test_hard_links_are_read(root, tmp_path):
    write(tmp_path, "outside.md")
    os.link(tmp_path / "outside.md", root / "hard.md")
    assert paths(discover(root)) == ["hard.md"]


def test_a_folder_nested_deeper_than_a_path_may_be_long_does_not_stop_the_walk(root):
    write(root, "a.md")
    here = os.open(root, os.O_RDONLY)
    try:
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=here)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    found = discover(root)
    assert paths(found) == ["a.md"]
    assert not found.complete
    assert "too long" in found.failed[0].reason
