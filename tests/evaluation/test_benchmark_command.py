"""`scripts/benchmark` as a user runs it."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def refusal(monkeypatch, capsys):
    """Run the benchmark in this process, where it must end with an error; its exit code and stderr."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    main = importlib.import_module("benchmarks.command_line").main

    def run(*arguments):
        with pytest.raises(SystemExit) as raised:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert printed.out == ""
        return raised.value.code, printed.err

    return run


def test_retrieval_prints_scores_and_the_machine_and_writes_json(span_folder, tmp_path):
    written = tmp_path / "scores.json"
    options = ["--top-k", "1", "--chunk-size", "24", "--offline", "--json", written]
    budgets = ["--budget-characters", "400", "--budget-tokens", "50,100"]

    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark", "retrieval", span_folder(), *options, *budgets],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for expected in ("recall in 400 characters", "recall in 100 tokens", "ndcg@10", "cores", "Python 3."):
        assert expected in done.stdout
    assert "1 questions without gold were left out" in done.stdout
    report = json.loads(written.read_text(encoding="utf-8"))
    assert [row["id"] for row in report["questions"]] == ["1", "2"]
    assert report["means"]["recall"] == 1.0
    assert report["chunker"]["size"] == 24
    assert report["machine"]["cores"] >= 1


def test_query_prints_what_each_part_of_a_question_takes(span_folder, tmp_path):
    written = tmp_path / "times.json"
    options = ["--offline", "--json", written]

    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark", "query", span_folder(), *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for part in ("embed the question", "dense search", "lexical search", "weigh", "ask, in all", "cores"):
        assert part in done.stdout
    seconds = json.loads(written.read_text(encoding="utf-8"))["seconds"]
    assert {len(times) for times in seconds.values()} == {3}
    parts = ("embed the question", "dense search", "lexical search", "read chunks and counts", "weigh")
    for number, whole in enumerate(seconds["retrieve, in all"]):
        assert sum(seconds[part][number] for part in parts) == pytest.approx(whole)


def test_a_mistake_in_a_data_set_is_one_line_and_exit_code_2(refusal, span_folder):
    code, message = refusal("retrieval", span_folder(questions=["{"]))

    assert code == 2
    assert message.startswith("Error: ")
    assert "line 1: not valid JSON" in message


@pytest.mark.parametrize("option", [("--top-k", "0"), ("--half", "third"), ("--budget-characters", "1,x")])
def test_wrong_options_are_refused(refusal, span_folder, option):
    code, message = refusal("retrieval", span_folder(), *option)

    assert code == 2
    assert message.startswith("usage:")


def test_no_benchmark_named_is_wrong_usage(refusal):
    assert refusal()[0] == 2
