"""A store made with a tiny model, which is quick to load and has files of its own."""

from __future__ import annotations

import shutil

import pytest
from tiny_models import save_tiny_bert

from ragstack.system import RAGSystem


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep the user's cache directory out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    base = tmp_path_factory.mktemp("inspection")
    save_tiny_bert(base / "tiny")
    with RAGSystem.open(base / "store", model=str(base / "tiny"), chunk_size=24, overlap=8) as system:
        for number in range(3):
            system.add_document(f"Document {number} is about caches.", name=f"{number}.txt")
    return base


@pytest.fixture
def model(made_once, tmp_path):
    """The folder of the model that the store was made with, to be changed."""
    return shutil.copytree(made_once / "tiny", tmp_path / "tiny")


@pytest.fixture
def store(made_once, tmp_path):
    """The directory of the store, to be changed."""
    return shutil.copytree(made_once / "store", tmp_path / "store")
