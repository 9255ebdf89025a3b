"""`scripts/benchmark startup`, `embed` and `ingest` as a user runs them, on a few small files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "The committee of week {n} approved the budget for the library in room {n}. "


@pytest.fixture
def folder(tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(4):
        (documents / f"{number}.txt").write_text(SENTENCE.format(n=number) * 12)
    return documents


@pytest.fixture
def benchmark(tmp_path):
    """Run a benchmark to its end; what it printed, and what it wrote."""

    def run(*arguments):
        written = tmp_path / "written.json"
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "benchmark", *map(str, arguments), "--json", written],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, json.loads(written.read_text())

    return run


def test_embed_compares_the_compiled_model_with_the_library(folder, benchmark):
    printed, written = benchmark(
        "embed", folder, "--offline", "--chunks", 6, "--chunk-size", 32, "--rounds", 1
    )

    assert "ragstack, compiled" in printed
    assert "openvino" in written["machine"]["packages"]
    assert set(written["seconds"]) == set(written["lowest_cosine"])
    assert min(written["lowest_cosine"].values()) >= 0.999
    assert written["chunks"] == 6


def test_ingest_measures_every_step_in_a_process_of_its_own(folder, benchmark, tmp_path):
    store = tmp_path / "store"
    printed, written = benchmark("ingest", folder, "--files", 3, "--small-files", 5, "--store", store)

    names = ["first", "unchanged", "one file edited", "5 small files, first", "5 small files, unchanged"]
    assert [step["name"] for step in written["steps"]] == names
    assert all(step["peak_memory"] > 10_000_000 for step in written["steps"])
    assert written["embedding_alone"]["texts"] > 0
    assert "first ingest / embedding alone" in printed
    assert (store / "ragstack.db").is_file()
    assert len(list(folder.iterdir())) == 4


def test_startup_prints_the_ratios_to_what_is_compared(folder, benchmark, tmp_path):
    printed, written = benchmark("startup", folder, "--rounds", 1, "--store", tmp_path / "store")

    assert set(written["ratios"]) == {"sentence-transformers / ask", "--help / import click"}
    assert written["chunks"] > 0
    assert written["seconds"]["ragstack ask"][0] > 0
    assert "peak MB" in printed


def test_a_folder_without_documents_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark", "ingest", tmp_path / "empty"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no file in" in done.stderr
    assert "Traceback" not in done.stderr
