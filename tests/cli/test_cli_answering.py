"""`ask` and `chat` with a language model, the history, and citations that can be opened."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from chat_server import answering, chat_server, event, refusing, streaming

from ragstack.config import user_settings_file

QUESTION = "how long is paid leave?"


@pytest.fixture
def ask(run):
    def asked(server, *arguments, **options):
        return run("ask", QUESTION, "--llm", f"{server.url}#tiny", *arguments, **options)

    return asked


def served(*replies):
    return chat_server(*replies, v1__models={"data": [{"id": "tiny"}]})


# ------------------------------------------------------------------------------- ask


def test_the_answer_of_a_language_model_is_printed_with_its_sources(ask):
    with served(answering("Thirty days ", "of paid leave a year [1].", prompt_tokens=230)) as server:
        result = ask(server)
    assert result.exit_code == 0, result.output
    answer, _, sources = result.stdout.partition("\n\nSources:\n")
    assert answer == "Thirty days of paid leave a year [1]."
    assert re.match(r"\[1\] leave\.md, .*  \d+@[0-9a-f]{12}:\d+-\d+\n$", sources)
    assert result.stderr == ""


def test_the_sources_and_the_question_are_in_what_is_sent(ask):
    with served(answering("Thirty [1].")) as server:
        ask(server)
        system, user = server.chats[0].body["messages"]
    assert "numbered sources" in system["content"]
    assert "thirty days of paid leave" in user["content"]
    assert user["content"].endswith(f"Question: {QUESTION}")


def test_json_is_one_document_with_what_checking_came_to(ask):
    with served(answering("Thirty days of paid leave [1]. Ninety days [7].")) as server:
        result = ask(server, "--json")
    answer = json.loads(result.stdout)
    assert [each["state"] for each in answer["sentences"]] == [
        "supported",
        "cites no source of the prompt",
    ]
    assert answer["generation"]["prompt_tokens"] == 100
    assert [each["number"] for each in answer["citations"]] == [1]


def test_what_the_sources_do_not_bear_out_is_said_on_stderr(ask):
    with served(answering("Forty days of paid leave a year, 40 [1]. See [9].")) as server:
        result = ask(server)
    assert "not supported by its source: Forty days" in result.stderr
    assert "[9] cites no source" in result.stderr


def test_an_answer_that_cites_nothing_says_so_and_shows_what_was_read(ask):
    with served(answering("Thirty days.")) as server:
        result = ask(server)
    assert "cites nothing" in result.stderr
    assert re.search(r"^\[1\] leave\.md.*  \d+@[0-9a-f]{12}:\d+-\d+$", result.stdout, re.MULTILINE)


def test_a_model_cannot_steer_the_terminal(ask):
    with served(answering("\x1b[2J\x07red \u202eleave\u202c [1].", "\r", "\nnext\r", "x")) as server:
        result = ask(server)
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "\\x1b[2J\\x07red" in result.stdout


def test_when_the_model_fails_the_sources_are_printed_all_the_same(ask):
    with served(refusing(404, {"error": {"message": "model not found"}})) as server:
        result = ask(server)
    assert result.exit_code == 1
    assert "[1] " in result.stdout
    assert "leave.md" in result.stdout
    assert "no model `tiny` (404): model not found" in result.stderr
    assert "hint: name an installed model" in result.stderr


def test_when_the_server_is_down_the_sources_are_printed_all_the_same(ask):
    with chat_server() as server:
        pass
    result = ask(server)
    assert result.exit_code == 1
    assert "leave.md" in result.stdout
    assert "no answer from" in result.stderr


def test_an_answer_that_breaks_off_is_kept_as_far_as_it_came(ask):
    with served(streaming(event("Thirty days "))) as server:
        result = ask(server)
    assert result.exit_code == 1
    assert result.stdout.startswith("Thirty days")
    assert "broke off the answer" in result.stderr


def test_a_model_that_declines_is_no_answer(ask):
    with served(answering("The sources do not answer this question.")) as server:
        result = ask(server)
    assert result.exit_code == 1
    assert result.stdout.startswith("The sources do not answer this question.")


def test_a_question_on_another_topic_never_reaches_the_model_unless_it_must_not_abstain(run):
    question = "who is Edson Nascimento?"
    with served(answering("France [1].")) as server:
        refused = run("ask", question, "--llm", f"{server.url}#tiny")
        assert server.chats == []
        run("ask", question, "--llm", f"{server.url}#tiny", "--no-abstain")
        assert len(server.chats) == 1
    assert refused.exit_code == 1
    assert "Nothing in the documents seems to answer this." in refused.stderr


def test_a_dry_run_prints_the_prompt_and_its_ledger_and_has_nothing_written(ask):
    with served(answering("Thirty [1].")) as server:
        result = ask(server, "--dry-run")
        assert server.chats == []
    assert result.exit_code == 0
    assert result.stdout.startswith("Answer the question from the numbered sources")
    assert f"Question: {QUESTION}" in result.stdout
    assert "charge: system prompt" in result.stdout
    assert "left for passages" in result.stdout


def test_a_dry_run_works_without_a_server(ask):
    with chat_server() as server:
        pass
    result = ask(server, "--dry-run")
    assert result.exit_code == 0
    assert "could not be asked" in result.stdout


def test_a_dry_run_without_a_model_prints_what_would_be_read(run):
    result = run("ask", QUESTION, "--dry-run")
    assert result.exit_code == 0
    assert "thirty days of paid leave" in result.stdout


def test_the_users_own_file_names_the_model(run):
    file = user_settings_file()
    file.parent.mkdir(parents=True)
    with served(answering("Thirty [1].")) as server:
        file.write_text(f'llm = "{server.url}#tiny"\n', encoding="utf-8")
        assert run("ask", QUESTION).stdout.startswith("Thirty [1].")


def test_the_environment_names_the_model_and_a_flag_overrules_it(folder, run, monkeypatch):
    with served(answering("Thirty [1].")) as server:
        monkeypatch.setenv("RAGSTACK_LLM", f"{server.url}#tiny")
        assert run("ask", QUESTION).stdout.startswith("Thirty [1].")
        copied = run("ask", QUESTION, "--llm", "extractive", "--no-abstain")
        assert copied.stdout.startswith("Every employee")
        assert len(server.chats) == 1


def test_a_projects_file_cannot_send_documents_anywhere(folder, invoke, light_models):
    with served(answering("stolen")) as server:
        (folder / "ragstack.toml").write_text(f'llm = "{server.url}"\n', encoding="utf-8")
        (folder / ".ragstack").mkdir()
        (folder / "a.md").write_text("Every employee has thirty days of paid leave.", encoding="utf-8")
        invoke("ingest", "a.md")
        result = invoke("ask", QUESTION)
        assert server.requests == []
    assert "`llm` in" in result.stderr
    assert "is ignored" in result.stderr


def test_statistics_stand_beside_their_predictions(ask):
    with served(answering("Thirty days ", "[1].")) as server:
        for _ in range(3):
            ask(server)
        result = ask(server, "--stats")
    assert re.search(r"^prompt: 100 tokens \(predicted: \d+ tokens\)$", result.stderr, re.MULTILINE)
    assert re.search(r"^first token: [\d.]+ s \(predicted: [\d.e-]+ s\)$", result.stderr, re.MULTILINE)
    assert "predicted by 3 earlier answers of this model" in result.stderr


def test_keys_are_in_neither_the_output_nor_the_history(ask, library, monkeypatch):
    monkeypatch.setenv("RAGSTACK_API_KEY", "sk-very-secret")
    with served(answering("Thirty days [1].")) as server:
        result = ask(server, "--json", "--stats")
        assert server.chats[0].headers["Authorization"] == "Bearer sk-very-secret"
    assert "very-secret" not in result.output
    assert all(b"very-secret" not in path.read_bytes() for path in (library / "store").rglob("*.*"))


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to one process")
def test_ctrl_c_stops_a_stream_and_leaves_text_and_sources(library):
    gone = threading.Event()

    def endless(connection):
        connection.head(200, "text/event-stream")
        try:
            while True:
                connection.send(event("leave "))
                gone.wait(0.01)
        except OSError:
            gone.set()
            raise

    code = (
        "import conftest, ragstack.embedding.open\n"
        "ragstack.embedding.open.open_embedder = lambda name=None, **_: conftest.NamedEmbedder(name)\n"
        "from ragstack.cli import main\n"
        "main()\n"
    )
    with served(endless) as server:
        command = [
            sys.executable,
            "-c",
            code,
            "ask",
            QUESTION,
            "--store",
            "store",
            "--llm",
            f"{server.url}#tiny",
        ]
        here = Path(__file__).parent
        paths = {"PYTHONPATH": os.pathsep.join(map(str, (here, here.parent / "support", here.parents[1])))}
        process = subprocess.Popen(
            command,
            cwd=library,
            env={**os.environ, **paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = process.stdout.read(5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert gone.wait(20)
    assert process.returncode == 1
    assert first == "leave"
    assert "Sources:" in stdout
    assert "stopped by Ctrl-C" in stderr
    assert "Traceback" not in stderr


# --------------------------------------------------------------------- conversations


def test_a_question_goes_on_with_the_last_conversation(run):
    with served(answering("Thirty days [1]."), answering("Six weeks [1].")) as server:
        llm = ("--llm", f"{server.url}#tiny")
        run("ask", QUESTION, *llm)
        run("ask", "--continue", "and the notice period?", *llm)
        user = server.chats[-1].body["messages"][1]["content"]
    assert f"Question: {QUESTION}\nAnswer: Thirty days." in user
    assert user.endswith("Question: and the notice period?")
    (conversation,) = json.loads(run("history", "list", "--json").stdout)["conversations"]
    assert conversation["turns"] == 2


def test_a_chat_answers_line_after_line(run):
    lines = f"{QUESTION}\nand a year?\n/sources\n/budget\n/bogus\n/forget\n/sources\n/help\n"
    with served(answering("Thirty days [1]."), answering("A year, thirty [1].")) as server:
        result = run("chat", "--llm", f"{server.url}#tiny", input=lines)
        second = server.chats[-1].body["messages"][1]["content"]
    assert result.exit_code == 0, result.output
    assert "Thirty days [1]." in result.stdout
    assert "Answer: Thirty days." in second
    assert "charge: history" in result.stdout
    assert "there is no command /bogus" in result.stderr
    assert "nothing was asked yet" in result.stderr


def test_a_chat_can_be_saved_but_overwrites_nothing(run, library):
    result = run("chat", input=f"{QUESTION}\n/save talk.json\n/save talk.json\n/quit\n")
    (turn,) = json.loads((library / "talk.json").read_text(encoding="ascii"))
    assert turn["question"] == QUESTION
    assert "does not exist yet" in result.stderr


def test_an_error_does_not_end_a_chat(run):
    with served(refusing(401), answering("Thirty days [1].")) as server:
        result = run("chat", "--llm", f"{server.url}#tiny", input=f"{QUESTION}\n{QUESTION}\n")
    assert result.exit_code == 0
    assert "(401)" in result.stderr
    assert "Thirty days [1]." in result.stdout


# --------------------------------------------------------------------------- history


def test_what_was_asked_can_be_listed_shown_and_exported(run, library):
    run("ask", QUESTION, "--no-abstain")
    run("ask", "what is the notice period?", "--no-abstain")
    assert QUESTION in run("history", "list").stdout
    shown = run("history", "show", 1).stdout
    assert "thirty days of paid leave" in shown
    turns = [json.loads(line) for line in run("history", "export").stdout.splitlines()]
    assert [turn["question"] for turn in turns] == [QUESTION, "what is the notice period?"]
    assert turns[0]["passages"][0]["text"]
    assert json.loads(run("history", "export", "--json").stdout)["turns"] == turns
    run("history", "export", "--output", "all.jsonl")
    assert len((library / "all.jsonl").read_text(encoding="ascii").splitlines()) == 2
    assert run("history", "export", "--output", "all.jsonl").exit_code == 2


def test_nothing_is_written_down_with_no_log(run, library):
    run("ask", QUESTION, "--no-log")
    assert QUESTION.encode() not in (library / "store" / "history.db").read_bytes()
    assert "Nothing was asked yet" in run("history", "list").stderr


def test_a_conversation_that_is_not_there_is_named(run):
    result = run("history", "show", 7)
    assert result.exit_code == 1
    assert "there is no conversation 7" in result.stderr
    assert "`ragstack history list --store store`" in result.stderr


def test_clearing_asks_and_leaves_no_byte(run, library):
    run("ask", QUESTION)
    assert run("history", "clear").exit_code == 2
    result = run("history", "clear", "--yes")
    assert result.stdout == "Erased 1 turn\n"
    assert b"paid leave" not in (library / "store" / "history.db").read_bytes()


def test_purging_erases_answers_from_documents_that_are_gone(run, library):
    run("ask", QUESTION)
    run("ask", "when is the notice period over?")
    run("remove", "docs/leave.md", "--yes")
    run("purge", "--yes")
    kept = b"".join(path.read_bytes() for path in (library / "store").rglob("*") if path.is_file())
    assert b"thirty days of paid leave" not in kept


def test_a_history_that_cannot_be_written_only_warns(run, library):
    (library / "store" / "history.db").write_bytes(b"this is no database" * 400)
    result = run("ask", QUESTION, "--no-abstain")
    assert result.exit_code == 0
    assert "the question is not in the history" in result.stderr


# ------------------------------------------------------------------------- citations


@pytest.fixture
def identity(run):
    result = run("ask", QUESTION, "--no-abstain")
    return re.search(r"\S+@[0-9a-f]{12}:\d+-\d+", result.stdout).group()


def test_a_citation_opens_the_text_that_was_cited(run, identity):
    result = run("inspect", "citation", identity)
    assert result.exit_code == 0
    assert "as cited" in result.stdout
    assert "Every employee has thirty days of paid leave a year." in result.stdout
    assert json.loads(run("inspect", "citation", identity, "--json").stdout)["path"] == "leave.md"


def test_a_citation_outlives_an_ingest_that_changes_nothing(run, library, identity):
    (library / "docs" / "new.md").write_text("Something else.\n", encoding="utf-8")
    run("ingest", "docs")
    assert "as cited" in run("inspect", "citation", identity).stdout


def test_a_citation_of_a_changed_document_says_so_and_shows_what_it_was(run, library, identity):
    (library / "docs" / "leave.md").write_text("# Leave\n\nNobody has any leave.\n", encoding="utf-8")
    run("ingest", "docs")
    result = run("inspect", "citation", identity)
    assert result.exit_code == 0
    assert "the document has changed since" in result.stdout
    assert "Every employee has thirty days of paid leave a year." in result.stdout


def test_a_citation_of_a_removed_document_without_a_history_is_nowhere(run, library, identity):
    run("history", "clear", "--yes")
    run("remove", "docs/leave.md", "--yes")
    result = run("inspect", "citation", identity)
    assert result.exit_code == 1
    assert "no longer in the store" in result.stdout
    assert "in neither the store nor the history" in result.stderr


@pytest.mark.parametrize("text", ["12", "12@xyz:0-4", "12@3fa9c1d2e0b4:9-4", "a@3fa9c1d2e0b4:0-4"])
def test_what_is_no_citation_is_refused(run, text):
    assert run("inspect", "citation", text).exit_code == 2
