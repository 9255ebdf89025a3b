"""Measuring retrieval over a whole data set."""

import pytest

from ragstack.evaluation.datasets import load_dataset
from ragstack.evaluation.retrieval import (
    RANKING_DEPTH,
    Measures,
    QuestionScores,
    RetrievalRun,
    budget_measure,
    evaluate_retrieval,
)


@pytest.fixture
def measured(span_folder, indexed):
    def run(**measures):
        with indexed(load_dataset(span_folder())) as corpus:
            return evaluate_retrieval(corpus, Measures(**measures))

    return run


def test_every_answerable_question_gets_a_row_and_the_others_are_counted(measured):
    run = measured()

    assert [row.id for row in run.rows] == ["1", "2"]
    assert run.left_out == 1
    assert all(row.seconds > 0 for row in run.rows)


def test_scores_follow_from_the_chunks_that_are_retrieved(span_folder, indexed):
    with indexed(load_dataset(span_folder())) as corpus:
        run = evaluate_retrieval(corpus, Measures(top_k=1))
        chunk = corpus.span(corpus.system.retrieve("Which ships need a pilot?", 1)[0])

    scores = run.rows[0].scores
    assert scores["recall"] == 1.0
    assert scores["precision"] == pytest.approx(31 / chunk.length)
    assert scores["iou"] == scores["precision"]
    assert scores["answer contained"] == 1.0
    assert (scores["ndcg@10"], scores["reciprocal rank"], scores["recall@10"]) == (1.0, 1.0, 1.0)
    assert scores["repeated tokens"] == 0.0


def test_a_paragraph_is_ranked_only_where_the_data_set_names_one(measured):
    first, second = measured().rows

    assert "ndcg@10" in first.scores
    assert "ndcg@10" not in second.scores


def test_budgets_in_characters_and_tokens_are_measured_each_under_its_name(measured):
    run = measured(character_budgets=(5, 1000), token_budgets=(1, 500))

    assert run.mean(budget_measure(5, "characters")) == 0.0
    assert run.mean(budget_measure(1000, "characters")) == 1.0
    assert run.mean(budget_measure(1, "tokens")) == 0.0
    assert run.mean(budget_measure(500, "tokens")) == 1.0


def test_a_beir_data_set_is_measured_by_its_documents_only(beir_folder, indexed):
    with indexed(load_dataset(beir_folder())) as corpus:
        run = evaluate_retrieval(corpus, Measures())

    assert run.means()["ndcg@10"] == 1.0
    assert "recall" not in run.names


def test_progress_counts_up_to_the_number_of_answerable_questions(span_folder, indexed):
    seen = []
    with indexed(load_dataset(span_folder())) as corpus:
        evaluate_retrieval(corpus, Measures(), progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 2), (2, 2)]


def test_the_first_chunks_of_a_deep_ranking_are_those_of_a_short_one(span_folder, indexed):
    with indexed(load_dataset(span_folder())) as corpus:
        deep = corpus.system.retrieve("Which ships need a pilot?", RANKING_DEPTH)
        short = corpus.system.retrieve("Which ships need a pilot?", 3)

    assert [hit.chunk.chunk_id for hit in deep[:3]] == [hit.chunk.chunk_id for hit in short]
    assert len(deep) > 3


def test_means_are_over_the_questions_that_have_the_measure():
    run = RetrievalRun(
        (
            QuestionScores("1", 0.1, {"recall": 1.0, "ndcg@10": 0.5}),
            QuestionScores("2", 0.1, {"recall": 0.0}),
        ),
        left_out=0,
    )

    assert run.means() == {"recall": 0.5, "ndcg@10": 0.5}
    assert run.values("ndcg@10") == [0.5]
