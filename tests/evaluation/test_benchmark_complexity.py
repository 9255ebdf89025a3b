"""`scripts/benchmark complexity` and `strategies` as a user runs them, on the smallest inputs."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def benchmark(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_complexity_prints_measured_beside_expected_and_writes_json(tmp_path):
    written = tmp_path / "rows.json"
    done = benchmark("complexity", "--models", "Qwen3", "--lengths", "256,512", "--json", written)
    assert done.returncode == 0, done.stderr
    assert "measured" in done.stdout
    assert "transformers 5" in done.stdout
    assert "peak not above `upper`: 16 of 16 rows" in done.stdout
    rows = json.loads(written.read_text(encoding="utf-8"))["rows"]["cpu"]
    assert len(rows) == 2 * 2 * 2 * 2
    for row in rows:
        assert abs(row["measured"] - row["expected"]) < 2**12
        assert row["measured"] <= row["upper"]


def test_complexity_fails_when_a_row_does_not_hold(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    complexity = importlib.import_module("benchmarks.complexity")
    command_line = importlib.import_module("benchmarks.command_line")
    measure = complexity.measure_passes

    def exceeding(*arguments, **options):
        return (replace(row, measured=row.upper + 1) for row in measure(*arguments, **options))

    monkeypatch.setattr(complexity, "measure_passes", exceeding)
    with pytest.raises(SystemExit) as raised:
        command_line.main(["complexity", "--models", "Llama", "--lengths", "256"])
    assert raised.value.code == 1
    assert "does not hold" in capsys.readouterr().out


def test_an_unknown_model_is_wrong_usage():
    done = benchmark("complexity", "--models", "Falcon")
    assert done.returncode == 2
    assert "must be of Llama, Mistral, Qwen3, Gemma-3" in done.stderr


def test_strategies_prints_a_line_for_each(span_folder, tmp_path):
    written = tmp_path / "rows.json"
    options = ["--offline", "--window", "100", "--strategies", "rag,full", "--json", written]
    done = benchmark("strategies", span_folder(), *options)
    assert done.returncode == 0, done.stderr
    assert "KV cache MiB" in done.stdout
    report = json.loads(written.read_text(encoding="utf-8"))
    assert [each["strategy"] for each in report["means"]] == ["rag", "full"]
    assert len(report["questions"]) == 4
