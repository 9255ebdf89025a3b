"""Figures show what their tables hold, tables come from the run, and files are what they say."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from deterministic_embedder import DeterministicEmbedder

from ragstack import RAGSystem
from ragstack.context.architectures.registry import known_model
from ragstack.context.deployment import AttentionKernel, Device, deployment_for
from ragstack.context.hardware import AvailableMemory
from ragstack.inspection.figures import attention_cost, gather
from ragstack.inspection.figures.budget import budget_figure
from ragstack.inspection.figures.memory import memory_figure
from ragstack.inspection.figures.patterns import patterns_figure
from ragstack.inspection.figures.sheet import write_figures
from ragstack.inspection.figures.table import Column, Figure, Origin, Table
from ragstack.inspection.figures.theme import DARK, LIGHT, THEMES
from ragstack.inspection.figures.usage import LIMIT, UsedContext, usage_figure
from ragstack.inspection.figures.windows import windows_figure
from ragstack.inspection.forward_passes import PassRow
from ragstack.inspection.overview import document
from ragstack.records import Ledger, LedgerTerm

SENTENCE = "The pump of the {name} chamber is cleaned every {days} days with warm water and vinegar. "


def _text(name: str, sentences: int) -> str:
    return "".join(SENTENCE.format(name=name, days=days) for days in range(2, sentences + 2))


@pytest.fixture
def system():
    with RAGSystem(embedder=DeterministicEmbedder()) as made:
        made.add_document(_text("north", 40), name="a/north.md")
        made.add_document(_text("south", 30), name="b/south $x_1$.md")
        yield made


@pytest.fixture(scope="module")
def wanted():
    architecture = known_model("llama-3.1-8b")
    assert architecture is not None
    memory = AvailableMemory(16 * 2**30, Device.CPU, "given: 16GiB")
    return gather.Wanted(
        architecture, deployment_for("llama.cpp"), memory, question="How is the pump cleaned?"
    )


def _passes(measured: int) -> list[PassRow]:
    return [
        PassRow(
            "Llama", AttentionKernel.EAGER, "f32", None, tokens, measured * tokens, 2 * tokens, 9 * tokens
        )
        for tokens in (256, 512)
    ]


def _drawn(figure: Figure):
    """The axes of a figure as it is drawn alone."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas()
    figure.draw(canvas.add_subfigure(canvas.add_gridspec()[0]), figure.table, LIGHT)
    return canvas.axes


def _points(axes) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}


def test_every_number_of_the_memory_figure_is_in_its_table(wanted):
    figure = memory_figure(wanted.architecture, wanted.deployment, wanted.memory, _passes(7))
    (axes,) = _drawn(figure)
    table = {(row["tokens"], row["bytes"]) for row in figure.table.records()}
    drawn = {point for point in _points(axes) if point[0] > 1}  # the machine's line runs over the whole width
    assert drawn <= table
    assert {
        (tokens, size) for series, _, tokens, size in figure.table.rows if series != "memory of this machine"
    } <= drawn


def test_measured_points_come_from_the_passes(wanted):
    first, second = (
        memory_figure(wanted.architecture, wanted.deployment, wanted.memory, _passes(measured)).table
        for measured in (7, 8)
    )
    assert first.select(origin="computed") == second.select(origin="computed")
    assert first.column("bytes") != second.column("bytes")


def test_another_model_gives_other_curves(wanted):
    other = known_model("qwen3-4b")
    tables = [
        memory_figure(model, wanted.deployment, wanted.memory, ()).table.select(series="key-value cache")
        for model in (wanted.architecture, other)
    ]
    assert tables[0].column("bytes") != tables[1].column("bytes")


def test_masks_show_the_pairs_that_the_formula_counts():
    figure = patterns_figure(tokens=32, window=8, block=4)
    full, sliding, *_ = figure.table.distinct("pattern")
    assert len(figure.table.select(pattern=full).rows) == 32 * 33 // 2
    assert len(figure.table.select(pattern=sliding).rows) == sum(min(8, at + 1) for at in range(32))
    for panel, pattern in zip(_drawn(figure), figure.table.distinct("pattern"), strict=True):
        mask = panel.images[0].get_array()
        assert int(mask.sum()) == len(figure.table.select(pattern=pattern).rows)


def test_times_of_attention_are_measured_and_drawn(monkeypatch):
    monkeypatch.setattr(attention_cost, "LEAST_SECONDS", 0.0)
    figure = attention_cost.attention_cost_figure((256, 512))
    (axes,) = _drawn(figure)
    expected = {
        (float(row["tokens"]), row[name])
        for row in figure.table.records()
        for name in ("measured_seconds", "formula_seconds")
    }
    assert _points(axes) == expected
    longest = figure.table.select(pattern="full", tokens=512)
    assert longest.column("measured_seconds") == pytest.approx(longest.column("formula_seconds"), rel=1e-12)


def test_a_smaller_cache_type_never_leaves_a_smaller_window(wanted):
    table = budget_figure(wanted.architecture, wanted.deployment).table
    windows = {
        kind: dict(zip(rows.column("memory_bytes"), rows.column("window_tokens"), strict=True))
        for kind in ("f16", "q8_0", "q4_0")
        for rows in [table.select(cache_type=kind)]
    }
    assert windows["f16"]
    for memory, tokens in windows["f16"].items():
        assert tokens <= windows["q8_0"][memory] <= windows["q4_0"][memory]


def test_usage_adds_up_to_the_prompt_and_its_reserve():
    ledger = Ledger(
        reader="r",
        limits=(LedgerTerm("window", 900, "given"), LedgerTerm("memory", 700, "16 GiB")),
        charges=(LedgerTerm("question", 20, "asked"), LedgerTerm("history", 0, "none")),
        reserve=100,
        passage_budget=680,
        passage_tokens=300,
    )
    figure = usage_figure([UsedContext(1, asdict(ledger)), UsedContext(2, asdict(ledger))])
    first = {row["part"]: row["tokens"] for row in figure.table.select(turn=1).records()}
    assert first == {"question": 20, "passages": 300, "reserve for the answer": 100, LIMIT: 800}
    (axes,) = _drawn(figure)
    assert max(bar.get_y() + bar.get_height() for bar in axes.patches) == 420


def test_windows_are_those_of_the_store(system):
    listed = {info.path: info.document_id for info in system_documents(system)}
    figure = windows_figure(document(system, listed["a/north.md"]))
    view = document(system, listed["a/north.md"])
    assert figure.table.column("chunk_id") == [chunk.chunk_id for chunk in view.chunks]
    assert all(
        view.text[row["start"] : row["end"]] == chunk.text
        for row, chunk in zip(figure.table.records(), view.chunks, strict=True)
    )
    assert sum(figure.table.column("shared_characters")) == sum(
        max(0, before.end - after.start) for before, after in zip(view.chunks, view.chunks[1:], strict=False)
    )


def system_documents(system):
    from ragstack.inspection.overview import documents

    return documents(system)


def test_the_map_changes_with_the_store_and_joins_near_duplicates(system, wanted):
    (before,), _ = gather.gather(system, wanted, ["embedding-map"])
    assert set(before.table.distinct("folder")) == {"a", "b"}
    system.add_document(_text("north", 40), name="c/copy.md")
    (after,), _ = gather.gather(system, wanted, ["embedding-map"])
    assert len(after.table.rows) > len(before.table.rows)
    copies = after.table.select(folder="c")
    originals = set(after.table.select(folder="a").column("chunk_id"))
    assert set(copies.column("near_duplicate_of")) <= originals


def test_scores_show_each_candidate_and_whether_it_was_packed(system, wanted):
    (figure,), missing = gather.gather(system, wanted, ["retrieval-scores"])
    assert not missing
    answer = system.ask(wanted.question)
    packed = {decision.chunk_id for decision in answer.ledger.decisions if decision.kept}
    assert figure.table.column("chunk_id") == [hit.chunk.chunk_id for hit in answer.hits[:40]]
    assert set(figure.table.select(packed=True).column("chunk_id")) == packed & set(
        figure.table.column("chunk_id")
    )
    assert len(_drawn(figure)) == 3


def test_what_cannot_be_drawn_is_named_with_what_it_needs(wanted):
    from dataclasses import replace

    with RAGSystem(embedder=DeterministicEmbedder()) as empty:
        names = ["retrieval-scores", "strategies", "embedding-map", "chunk-windows"]
        made, missing = gather.gather(empty, replace(wanted, question=None), names)
    assert not made
    assert [each.name for each in missing] == names
    assert "--question" in missing[0].reason
    assert "--dataset" in missing[1].reason


@pytest.mark.parametrize("theme", THEMES.values(), ids=lambda theme: theme.name)
def test_files_hold_the_table_and_the_list_describes_every_column(system, wanted, tmp_path: Path, theme):
    names = ["attention-patterns", "budget", "embedding-map", "chunk-windows", "retrieval-scores"]
    figures, _ = gather.gather(system, wanted, names)
    files = write_figures(figures, tmp_path, theme)
    assert all(path.stat().st_size > 0 for path in files)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files}
    listed = {each["name"]: each for each in json.loads((tmp_path / "figures.json").read_text())["figures"]}
    for figure in figures:
        with (tmp_path / f"{figure.name}.csv").open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == [column["name"] for column in listed[figure.name]["columns"]]
        assert len(rows) == len(figure.table.rows)
        for written, row in zip(rows, figure.table.rows, strict=True):
            assert written == ["" if value is None else str(value) for value in row]


def test_a_name_that_looks_like_mathematics_or_markup_is_drawn_as_it_is(system, wanted, tmp_path: Path):
    from ragstack.inspection.figures.windows import windows_figure

    listed = {info.path: info.document_id for info in system_documents(system)}
    figure = windows_figure(document(system, listed["b/south $x_1$.md"]))
    write_figures([figure], tmp_path, DARK)
    assert "south $x_1$.md" in (tmp_path / "chunk-windows.svg").read_text(encoding="utf-8")


def test_a_cell_is_never_a_formula(tmp_path: Path):
    table = Table((Column("path", Origin.STORED),), (("=HYPERLINK(1)",), ("plain",)))
    table.write(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == ["path", "'=HYPERLINK(1)", "plain"]
