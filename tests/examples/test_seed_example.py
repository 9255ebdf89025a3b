"""`examples/seed.py` runs from end to end, and its insights say what its run came to, whatever that is."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def seed():
    specification = importlib.util.spec_from_file_location("seed_example", ROOT / "examples" / "seed.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["seed_example"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules["seed_example"]


def test_the_whole_flow_runs_and_prints_its_numbers(seed, capsys, monkeypatch):
    monkeypatch.setattr(seed, "STRATEGIES", ("full", "rag"))  # the others take most of the time
    monkeypatch.setattr(seed, "STUDIED_QUESTIONS", 2)
    seed.main()
    printed = capsys.readouterr().out
    for title in ("1. What attention costs", "2. Sliding window", "3. Retrieval", "4. Four ways"):
        assert title in printed
    assert "3 of 3 questions found their note first among 4" in printed
    rows = {
        name: (int(found), int(asked), int(tokens.replace(",", "")))
        for name, found, asked, tokens in re.findall(r"^ +(full|rag) +(\d) of (\d) +([\d,]+)", printed, re.M)
    }
    assert set(rows) == {"full", "rag"}
    least = min(rows, key=lambda name: rows[name][2])
    assert f"`{least}` read {rows[least][2]:,} tokens a question" in printed
    assert f"had the evidence of {rows[least][0]} of 2" in printed


def test_insights_on_costs_follow_the_lengths_that_were_analysed(seed):
    (growth, memory) = seed.analyse_context((1_024, 4_096)).insights()
    assert "from 1,024 to 4,096 tokens (4x)" in growth
    assert "full attention grow 16x" in growth
    assert "`memory_gb` says 32;" in memory
    assert "materialised scores of a layer are 0.5 GiB" in memory


def test_insights_on_attention_come_from_the_runs(seed):
    found = seed.run_sliding_window(lengths=(1_024, 2_048), compared=300)
    assert found.difference < 1e-5
    assert [run.tokens for run in found.runs] == [1_024, 2_048]
    assert all(run.peak_bytes > run.tokens * 64 * 4 for run in found.runs)
    slower = replace(
        found,
        runs=(found.runs[0], replace(found.runs[1], seconds=10 * found.runs[0].seconds)),
        difference=0.5,
    )
    growth, difference = slower.insights()
    assert "2x the tokens took 10.0x the time" in growth
    assert "at 300 tokens it differs from masked full attention by at most 5.0e-01" in difference


def test_an_insight_on_retrieval_admits_what_went_wrong(seed):
    asked = seed.Asked("Why?", "cache", "bread", 0.5, "Because.")
    found = seed.Retrieval((asked, replace(asked, found="cache")), 4)
    assert list(found.insights()) == ["1 of 2 questions found their note first among 4"]


def test_insights_on_strategies_turn_round_with_the_numbers(seed):
    def run(strategy, evidence, tokens, prefill):
        return seed.StrategyRun(strategy, 5, evidence, tokens, 0.1, 2**20, prefill)

    found = seed.TradeOff((run("full", 5, 900.0, 30.0), run("rag", 3, 1_800.0, 60.0)))
    first, second, third = found.insights()
    assert first.startswith(
        "`full` read 900 tokens a question and had the evidence of 5 of 5; `rag` read 1,800"
    )
    assert "2.0x as many, and had that of 3" in first
    assert second == "the most evidence, 5 of 5, for the fewest tokens: `full`"
    assert "`full` in 30 s, those of `rag` in 60 s" in third
