from __future__ import annotations

import json

import pytest

from ragstack.store import building


@pytest.fixture
def approximate_library(monkeypatch, library, invoke):
    """The store of `library` once more, with an approximate index."""
    monkeypatch.setattr(building, "APPROXIMATE_FROM", 1)
    result = invoke("ingest", "--store", "approximate", "docs")
    assert result.exit_code == 0, result.output
    return library


def test_the_recall_check_of_an_approximate_index_is_shown(approximate_library, invoke):
    shown = invoke("inspect", "--store", "approximate")
    as_json = json.loads(invoke("inspect", "--store", "approximate", "--json").stdout)
    [segment] = as_json["segments"]
    details = segment["details"]
    assert segment["kind"] == "ivf-sq8"
    assert set(details) == {"lists", "probes", "recall_at_10", "queries", "trained_on"}
    [line] = [line for line in shown.stdout.splitlines() if line.startswith("approximate")]
    assert f"{segment['vectors']:,} vectors in {details['lists']:,} lists (ivf-sq8)" in line
    assert f"{details['probes']:,} searched" in line
    assert f"recall@10 {100 * details['recall_at_10']:.1f} %" in line
    assert f"({details['queries']:,} queries)" in line


def test_an_exact_index_says_nothing_of_recall(library, invoke):
    shown = invoke("inspect", "--store", "store")
    [segment] = json.loads(invoke("inspect", "--store", "store", "--json").stdout)["segments"]
    assert (segment["kind"], segment["details"]) == ("flat", {})
    assert "recall" not in shown.stdout


def test_an_approximate_index_passes_verification(approximate_library, invoke):
    checked = invoke("verify", "--deep", "--store", "approximate")
    assert checked.exit_code == 0, checked.output
