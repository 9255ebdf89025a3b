"""Comparing context strategies on a data set: recall of gold spans, tokens read, and what they would cost."""

import pytest

from ragstack.context.architectures.lookup import describe_model
from ragstack.context.deployment import deployment_for
from ragstack.context.latency import CalibratedPrefill
from ragstack.errors import UsageError
from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.strategies import ComparedModel, compare_strategies, evidence_recall
from ragstack.records import DocumentSpan, Reading, ReadingPass

MODEL = ComparedModel(
    describe_model("Llama-3.1-8B"),
    deployment_for("llama.cpp"),
    CalibratedPrefill(1.0, 0.001, 0.0, "timed"),
    reserve=100,
)


@pytest.fixture
def compared(span_folder, indexed):
    def run(**options):
        with indexed(load_dataset(span_folder())) as corpus:
            return compare_strategies(corpus, **{"window": 90, **options})

    return run


def test_every_strategy_asks_every_question_that_has_evidence(compared):
    comparison = compared()
    assert [(row.strategy, row.question) for row in comparison.rows] == [
        (strategy, question)
        for strategy in ("rag", "full", "sliding", "hierarchical")
        for question in ("1", "2")
    ]
    assert all(row.seconds > 0 for row in comparison.rows)
    assert [each.strategy for each in comparison.means()] == ["rag", "full", "sliding", "hierarchical"]


def test_a_window_that_ends_early_misses_evidence_that_a_sliding_one_reads(compared):
    full, sliding = compared(strategies=["full", "sliding"], window=60).means()
    assert full.recall < 1
    assert sliding.recall_read == 1
    assert sliding.tokens_read > full.tokens_read
    assert sliding.prompts > full.prompts == 1


def test_a_window_that_holds_all_text_has_all_evidence(compared):
    for means in compared(strategies=["full", "hierarchical"], window=1_000).means():
        assert (means.recall, means.recall_read, means.prompts) == (1.0, 1.0, 1.0)


def test_costs_are_those_of_the_model_for_the_prompts_that_were_read(compared):
    comparison = compared(strategies=["sliding"], window=60, model=MODEL)
    (means,) = comparison.means()
    assert means.prefill_seconds == pytest.approx(means.prompts + 0.001 * means.tokens_read)
    assert means.cache_bytes == 256 * 131_072
    assert means.peak_bytes_upper > MODEL.architecture.stored_bytes


def test_without_a_model_nothing_is_said_of_bytes_and_seconds(compared):
    (means,) = compared(strategies=["rag"]).means()
    assert (means.cache_bytes, means.peak_bytes_upper, means.prefill_seconds) == (None, None, None)


def test_progress_is_told(compared):
    told = []
    compared(strategies=["rag", "full"], progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_evidence_recall_counts_the_gold_characters_in_any_prompt(span_folder, indexed):
    with indexed(load_dataset(span_folder())) as corpus:
        (gold,) = corpus.dataset.questions[0].evidence
        middle = (gold.start + gold.end) // 2

        def reading(*spans):
            passes = (ReadingPass("window", 10, (DocumentSpan(1, gold.document, *span),)) for span in spans)
            return Reading("sliding", tuple(passes))

        half = (middle - gold.start) / gold.length
        assert evidence_recall(corpus, reading((0, middle)), [gold]) == pytest.approx(half)
        assert evidence_recall(corpus, reading((0, middle), (middle, gold.end)), [gold]) == 1
        assert evidence_recall(corpus, reading((gold.end, gold.end + 5)), [gold]) == 0


def test_a_data_set_without_spans_cannot_be_compared(beir_folder, indexed):
    with (
        indexed(load_dataset(beir_folder(), split="train")) as corpus,
        pytest.raises(UsageError, match="spans of evidence"),
    ):
        compare_strategies(corpus, window=100)
