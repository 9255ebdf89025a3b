"""While a language model writes, which takes minutes, nobody waits for the store: no writer and no purge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chat_server import DONE, answering, chat_server, event, usage
from deterministic_embedder import DeterministicEmbedder

from ragstack.system import RAGSystem

SUPPORT = Path(__file__).parents[1] / "support"

# What another process does to the store while the model writes.
OTHERS = """
import json, sqlite3, sys
from deterministic_embedder import DeterministicEmbedder
from ragstack.system import RAGSystem

path, remove = json.loads(sys.argv[1])
with RAGSystem.open(path, embedder=DeterministicEmbedder()) as system:
    system.add_document("Bob feeds the parrot at noon.", name="parrot.txt")
    if remove:
        system.remove_document("cat.txt")
    system.purge()  # raises StoreError when a reader keeps the log in use
connection = sqlite3.connect(f"{path}/ragstack.db")
busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
json.dump({"busy": busy, "frames": frames}, sys.stdout)
"""


TEXT = "See below.\n\nAnn feeds the cat at six in the morning.\nBob feeds nobody."


@pytest.fixture
def store(tmp_path):
    with RAGSystem.open(tmp_path / "store", embedder=DeterministicEmbedder()) as system:
        system.add_document(TEXT, name="cat.txt")
        yield system


def others(system, *, remove):
    """Run the other process to its end, and say what became of the log."""
    command = [sys.executable, "-c", OTHERS, json.dumps([str(system.path), remove])]
    environment = {"PYTHONPATH": f"{SUPPORT}:{SUPPORT.parents[1]}", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def slowly(system, said, *, remove):
    """A reply that goes on only when another process has changed and purged the store."""

    def reply(connection):
        connection.head(200, "text/event-stream")
        connection.send(event("Ann feeds the cat "))
        said.append(others(system, remove=remove))
        connection.send(event("at six in the morning [1]."))
        connection.send(event(finish="stop") + usage(100, 9) + DONE)

    return reply


def serving(reply):
    return chat_server(reply, v1__models={"data": [{"id": "tiny"}]})


def ask(system, server):
    return system.ask("Who feeds the cat in the morning?", llm=f"{server.url}#tiny", abstain=False)


@pytest.mark.parametrize("remove", [False, True])
def test_another_process_ingests_purges_and_empties_the_log(store, remove):
    said = []
    with serving(slowly(store, said, remove=remove)) as server:
        answer = ask(store, server)
    assert said == [{"busy": 0, "frames": 0}]
    assert answer.text == "Ann feeds the cat at six in the morning [1]."
    assert answer.citations


def test_what_is_cited_lies_where_the_store_says_also_when_it_is_gone(store):
    with serving(slowly(store, [], remove=True)) as server:
        (cited,) = ask(store, server).citations
    with RAGSystem(embedder=DeterministicEmbedder()) as same:
        document_id = same.add_document(TEXT, name="cat.txt")
        with same.store.read() as snapshot:
            assert cited.location == snapshot.locate(document_id, cited.start, cited.end)


def test_an_answer_that_shows_a_document_purged_meanwhile_is_not_written_into_the_history(tmp_path):
    told = []
    with RAGSystem.open(tmp_path, embedder=DeterministicEmbedder(), announce=told.append) as system:
        system.add_document("Ann feeds the cat at six in the morning.", name="cat.txt")
        with serving(slowly(system, [], remove=True)) as server:
            assert system.record(ask(system, server)) is None
        with serving(answering("Bob feeds the parrot [1].")) as server:
            assert system.record(ask(system, server)) is not None
    assert any("a document that it shows has been removed" in line for line in told)


def test_a_failure_half_way_leaves_the_sources_of_documents_that_are_gone(store):
    def breaking(connection):
        connection.head(200, "text/event-stream")
        connection.send(event("Ann feeds "))
        assert others(store, remove=True)["busy"] == 0

    with serving(breaking) as server:
        answer = ask(store, server)
    assert "broke off the answer" in answer.generation.error
    assert answer.passages[0].path == "cat.txt"
