"""A question's model is loaded while the store is opened, and nothing depends on that it works."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.embedding.ahead import EmbedderAhead
from ragstack.errors import ModelNotFoundError
from ragstack.store.peek import stored_model


@pytest.fixture
def model(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def store(tmp_path, model):
    with RAGSystem.open(tmp_path / "store", model=str(model), chunk_size=16, overlap=4) as rag:
        rag.add_document("The committee approved the budget for the new library on Tuesday.", name="a.txt")
    return tmp_path / "store"


def ask_soon(store):
    told = []
    return RAGSystem.open(store, create=False, soon_to_ask=True, offline=True, announce=told.append), told


def test_the_embedder_loaded_ahead_is_the_one_that_is_used(store, model):
    system, told = ask_soon(store)
    with system:
        ahead = system._ahead.embedder(model.as_posix())
        assert system.embedder is ahead
        assert system.retrieve("the budget", 1)[0].chunk.path == "a.txt"
    assert told == []
    assert not [thread for thread in threading.enumerate() if thread.name == "embedder"]


def test_another_model_than_the_one_loaded_ahead_is_opened_anew(store, model):
    system, _ = ask_soon(store)
    with system:
        assert system._ahead.embedder("another") is None


def test_a_model_that_is_gone_raises_what_it_would_raise_without_loading_ahead(store, model):
    shutil.rmtree(model)
    system, _ = ask_soon(store)
    with system, pytest.raises(ModelNotFoundError):
        system.retrieve("the budget", 1)


def test_a_given_embedder_is_not_loaded_ahead(tmp_path):
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        system.add_document("A text.", name="a.txt")
    with RAGSystem.open(
        tmp_path / "store", embedder=DeterministicEmbedder(), create=False, soon_to_ask=True
    ) as system:
        assert system._ahead is None


def test_a_load_that_fails_leaves_nobody_waiting():
    ahead = EmbedderAhead("/no/such/model", offline=True, announce=lambda _: None)
    assert ahead.embedder("/no/such/model") is None


def test_the_stored_model_is_read_without_changing_the_store(store, model):
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert stored_model(store / "ragstack.db") == model.as_posix()
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + bytes(100)])
def test_a_database_that_tells_nothing_is_no_error(tmp_path, content):
    path: Path = tmp_path / "ragstack.db"
    if content is not None:
        path.write_bytes(content)
    assert stored_model(path) is None
    assert path.exists() == (content is not None)


PROGRAM = """
import json, sys
from click.testing import CliRunner
from ragstack.cli.root import cli

result = CliRunner().invoke(cli, [sys.argv[1], "budget", "--offline", "--json", "--store", sys.argv[2]])
json.dump([result.exit_code, sorted(sys.modules)], sys.stdout)
"""

TRAINING = {"torch", "transformers", "sentence_transformers", "matplotlib", "scipy", "sklearn"}

WRITING = {"sqlalchemy", "alembic", "ragstack.store.writer", "ragstack.store.segments"}

LANGUAGE_MODELS = {
    "httpx2", "jinja2", "ragstack.asking.model_question", "ragstack.asking.planning",
    "ragstack.context.complexity", "ragstack.context.hardware", "ragstack.context.reader_plans",
    "ragstack.strategies.hierarchical", "ragstack.strategies.sliding",
}  # fmt: skip


@pytest.mark.parametrize("command", ["search", "ask"])
def test_a_question_imports_neither_training_nor_writing_nor_language_models(store, model, command):
    for _ in range(2):  # the first answer of a store makes its history, with Alembic
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, command, str(store)], capture_output=True, text=True, check=True
        )
    code, modules = json.loads(done.stdout)
    assert code == 0
    assert (TRAINING | WRITING | LANGUAGE_MODELS) & set(modules) == set()
