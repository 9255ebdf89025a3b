"""A backup holds what was asked, and a restored store goes on with it."""

from __future__ import annotations

from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem

QUESTION = "How often is the pump of the north chamber cleaned?"


def _filled(path):
    system = RAGSystem.open(path, embedder=DeterministicEmbedder())
    system.add_document("The pump of the north chamber is cleaned every 5 days.", name="north.md")
    return system


def test_a_restored_store_knows_what_was_asked(tmp_path):
    with _filled(tmp_path / "store") as system:
        conversation = system.record(system.ask(QUESTION))
        asked = system.history.turns(conversation)
        system.backup(tmp_path / "backup")
    with RAGSystem.restore(tmp_path / "backup", tmp_path / "restored") as restored:
        assert restored.history.turns(conversation) == asked
        assert asked[0].question == QUESTION


def test_a_store_that_was_never_asked_is_backed_up_without_a_history(tmp_path):
    with _filled(tmp_path / "store") as system:
        copied = system.backup(tmp_path / "backup")
    assert not (copied / "history.db").exists()


def test_an_empty_history_gives_way_to_that_of_a_backup(tmp_path):
    with _filled(tmp_path / "store") as system:
        system.record(system.ask(QUESTION))
        copied = system.backup(tmp_path / "backup")
    with _filled(tmp_path / "again"):
        pass
    (tmp_path / "again" / "ragstack.db").unlink()
    with RAGSystem.restore(copied, tmp_path / "again") as restored:
        assert [turn.question for turn in restored.history.turns(1)] == [QUESTION]


def test_a_purge_leaves_no_history_in_backups_of_ours(tmp_path):
    with _filled(tmp_path / "store") as system:
        system.record(system.ask(QUESTION))
        system.backup(tmp_path / "store" / "backups" / "mine")
        system.remove_document("north.md")
        system.purge()
    left = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"cleaned every 5 days" not in left
