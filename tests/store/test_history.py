from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from ragstack.errors import NotInStoreError, StoreDamagedError, StoreLockedError, StoreVersionError
from ragstack.records import (
    Answer,
    Citation,
    Generation,
    Ledger,
    LedgerTerm,
    Location,
    Passage,
)
from ragstack.store.history import history as module
from ragstack.store.history.history import HEAD, History
from ragstack.store.history.models import Base
from ragstack.store.migrations import script_directory

TEXT = "The notice period is six weeks."
HASH = "ab" * 32
PASSAGE = Passage(
    document_id=3, path="a.md", title=None, start=10, end=10 + len(TEXT), text=TEXT, tokens=7, score=1.0,
    content_hash=HASH, location=Location(first_line=2, last_line=2), headings=("Notice",),
)  # fmt: skip
LEDGER = Ledger("r", (LedgerTerm("window", 100, "given"),), (LedgerTerm("question", 5, "x"),), 10, 85, 9)
GENERATION = Generation("tiny", "http://x", prompt_tokens=50, seconds_to_first_token=0.5, seconds=2.0)


def answer(question="How long?", passage=PASSAGE, generation=GENERATION, text="Six weeks [1]."):
    citation = Citation(1, passage, passage.start, passage.end, passage.text, passage.location)
    return Answer(
        question=question, text=text, found=True, passages=(passage,), citations=(citation,), hits=(),
        ledger=LEDGER, generation=generation, generator="tiny at http://x",
    )  # fmt: skip


@pytest.fixture
def history(tmp_path):
    return History(tmp_path)


def content(history):
    return b"".join(path.read_bytes() for path in history.directory.iterdir())


def test_reading_a_history_that_is_not_there_creates_nothing(history):
    assert history.conversations() == []
    assert history.latest() is None
    assert history.timings("tiny", "http://x") == []
    assert history.clear() == 0
    assert history.purge(lambda *_: False) == 0
    assert list(history.directory.iterdir()) == []


def test_a_turn_comes_back_as_it_was_written(history):
    conversation = history.record(answer())
    (turn,) = history.turns(conversation)
    assert (turn.question, turn.answer, turn.found) == ("How long?", "Six weeks [1].", True)
    assert turn.generation == GENERATION
    assert turn.ledger["limits"] == [{"name": "window", "tokens": 100, "reason": "given"}]
    (passage,) = turn.passages
    assert (passage.text, passage.start, passage.content_hash) == (TEXT, 10, HASH)
    assert passage.place == "line 2, Notice"
    assert passage.cited == (f"3@{HASH[:12]}:10-{10 + len(TEXT)}",)


def test_an_answer_of_copied_sentences_has_no_generation(history):
    (turn,) = history.turns(history.record(answer(generation=None)))
    assert turn.generation is None


def test_turns_of_a_conversation_stay_together_and_in_order(history):
    first = history.record(answer("one"))
    other = history.record(answer("other"))
    assert history.record(answer("two"), conversation_id=first) == first
    assert [turn.question for turn in history.turns(first)] == ["one", "two"]
    assert [each.conversation_id for each in history.conversations()] == [first, other]
    assert history.latest() == first


def test_a_turn_of_a_conversation_that_is_gone_begins_a_new_one(history):
    first = history.record(answer())
    history.clear(first)
    assert history.record(answer(), conversation_id=first) != first


def test_a_conversation_that_never_was_is_named(history):
    history.record(answer())
    with pytest.raises(NotInStoreError, match="no conversation 99"):
        history.turns(99)
    with pytest.raises(NotInStoreError, match="no conversation 99"):
        history.clear(99)


def test_clearing_leaves_no_byte(history):
    history.record(answer())
    assert TEXT.encode() in content(history)
    assert history.clear() == 1
    assert TEXT.encode() not in content(history)
    assert history.conversations() == []


def test_purging_erases_what_shows_documents_that_are_gone_and_all_that_follows(history):
    kept = replace(PASSAGE, document_id=4, text="Something else entirely.")
    talk = history.record(answer("before", kept))
    history.record(answer("about it"), conversation_id=talk)
    history.record(answer("after", kept), conversation_id=talk)
    alone = history.record(answer("alone"))
    assert history.purge(lambda document, _hash: document == 4) == 3
    assert [turn.question for turn in history.turns(talk)] == ["before"]
    assert TEXT.encode() not in content(history)
    assert alone not in [each.conversation_id for each in history.conversations()]


def test_purging_erases_what_shows_an_old_version(history):
    history.record(answer())
    assert history.purge(lambda _document, digits: digits != HASH) == 1


def test_a_shown_text_is_found_by_version_and_span(history):
    history.record(answer())
    assert history.shown_text(3, HASH[:12], 14, 20) == TEXT[4:10]
    assert history.shown_text(3, "cd" * 6, 14, 20) is None
    assert history.shown_text(3, HASH[:12], 0, 20) is None


def test_timings_are_those_of_one_model_at_one_place_without_failures(history):
    history.record(answer())
    history.record(answer(generation=replace(GENERATION, model="large")))
    history.record(answer(generation=replace(GENERATION, error="it broke")))
    history.record(answer(generation=replace(GENERATION, prompt_tokens=None)))
    (timed,) = history.timings("tiny", "http://x")
    assert (timed.prompt_tokens, timed.seconds) == (50, 0.5)


def test_only_the_owner_may_read_it(history):
    history.record(answer())
    assert history.database.stat().st_mode & 0o077 == 0


def test_a_history_that_somebody_else_writes_is_not_waited_for_long(history, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    history.record(answer())
    with FileLock(history.directory / module.LOCK_FILE), pytest.raises(StoreLockedError):
        history.record(answer())
    assert history.latest() == 1


def test_a_newer_schema_is_refused_unchanged(history):
    history.record(answer())
    with closing(sqlite3.connect(history.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreVersionError, match="9999"):
        history.conversations()
    with pytest.raises(StoreVersionError, match="9999"):
        history.record(answer())


def test_damage_is_told(history):
    history.database.write_bytes(b"this is no database" * 500)
    with pytest.raises(StoreDamagedError):
        history.conversations()


@pytest.mark.parametrize("content", [b"", b"garbage " * 1_000], ids=["empty", "garbage"])
def test_a_damaged_history_can_be_cleared_whole_and_begun_anew(history, content):
    history.record(answer())
    history.database.write_bytes(content)

    if content:
        with pytest.raises(StoreDamagedError, match="damaged") as caught:
            history.conversations()
        assert "history clear" in caught.value.hint
        with pytest.raises(StoreDamagedError):
            history.clear(1)
    history.clear()
    history.record(answer())
    assert len(history.conversations()) == 1


def test_a_first_write_that_was_cut_short_is_done_again(history):
    """A file without tables is what is left of it."""
    sqlite3.connect(history.database).close()
    history.database.touch()
    assert history.record(answer()) == 1


def test_models_and_migrations_are_the_same(history):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    history.record(answer())
    engine = create_engine(f"sqlite:///{history.database}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_the_head_is_the_newest_migration():
    scripts = sorted((script_directory() / "history" / "versions").glob("*.py"))
    assert scripts[-1].name.split("_")[0] == HEAD
