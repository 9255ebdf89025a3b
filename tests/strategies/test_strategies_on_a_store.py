"""The four strategies on a real store with the real embedding model, through `RAGSystem.ask`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstack import Filter, RAGSystem
from ragstack.answering.evidence import lexical_relevance
from ragstack.context.frames import PrintedFrame
from ragstack.context.packing import pack
from ragstack.errors import BudgetError, UsageError
from ragstack.strategies.extractive import ExtractiveReader
from ragstack.strategies.strategy import StrategyName

QUESTION = "How much memory does the KV cache take for every token?"
CACHE = "# Memory\n\nThe KV cache of the small model takes 128 KiB for every token of the context.\n"
SOUP = "# Soup\n\nLeek soup needs three leeks, two potatoes and a litre of stock. Simmer it gently.\n"
FILLER = [
    f"# {title}\n\n"
    + " ".join(f"{subject} number {place} was {verb} in {1900 + place}." for place in range(40))
    for title, subject, verb in (
        ("Ships", "The ship", "launched"),
        ("Bridges", "The bridge", "opened"),
        ("Mills", "The mill", "repaired"),
        ("Orchards", "The orchard", "planted"),
    )
]


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RAGSystem]:
    """Six documents in the order in which their names sort; the answer is in the last."""
    with RAGSystem.open(tmp_path_factory.mktemp("strategies") / "store", offline=True) as system:
        for number, text in enumerate([SOUP, *FILLER, CACHE]):
            system.add_document(text, name=f"{number}.md")
        yield system


@pytest.mark.parametrize("strategy", list(StrategyName))
def test_every_strategy_answers_from_text_that_fits_one_prompt(rag, strategy):
    answer = rag.ask(QUESTION, strategy=strategy)
    assert answer.found
    assert "128 KiB" in answer.text
    assert answer.reading is not None
    assert answer.reading.strategy == strategy


@pytest.mark.parametrize("strategy", ["rag", "sliding", "hierarchical"])
def test_those_that_look_everywhere_find_the_last_document_in_a_small_window(rag, strategy):
    answer = rag.ask(QUESTION, strategy=strategy, window=400)
    assert "128 KiB" in answer.text
    assert answer.citations[0].passage.path == "5.md"
    assert answer.citations[0].quote in CACHE
    assert answer.reading.largest_prompt <= 400


def test_full_context_in_a_small_window_ends_before_the_last_document_and_says_so(rag):
    answer = rag.ask(QUESTION, strategy="full", window=400)
    assert not answer.found
    assert any("`5.md`" in each.path or each.path == "5.md" for each in answer.reading.omitted)
    assert "did not fit" in answer.warnings[0]


def test_a_sliding_window_reads_more_tokens_than_there_are_and_a_search_fewer(rag):
    readings = {name: rag.ask(QUESTION, strategy=name, window=400).reading for name in StrategyName}
    with rag.store.read() as snapshot:
        whole = sum(
            rag.embedder.tokenizer.count(snapshot.document(each.document_id).text)
            for each in snapshot.selected_documents(Filter())
        )
    assert readings["sliding"].tokens_read > whole
    assert readings["rag"].tokens_read < readings["hierarchical"].tokens_read
    assert len(readings["rag"].passes) == 1


@pytest.mark.parametrize("strategy", ["full", "sliding", "hierarchical"])
def test_a_filter_selects_the_documents_that_are_read(rag, strategy):
    answer = rag.ask(QUESTION, strategy=strategy, where=Filter(paths=("0.md", "1.md")))
    assert answer.reading.documents == 2
    assert {passage.path for passage in answer.passages} == {"0.md", "1.md"}
    assert not answer.found


def test_rag_packs_exactly_what_the_packer_makes_of_the_hits(rag):
    answer = rag.ask(QUESTION, window=300)
    frame, counter = PrintedFrame(QUESTION), rag.embedder.tokenizer
    with rag.store.read() as snapshot:
        packing = pack(
            rag.retrieve(QUESTION, 50),
            answer.ledger.passage_budget,
            source=snapshot,
            frame=frame,
            counter=counter,
            relevance=lexical_relevance(QUESTION),
        )
    assert answer.passages == packing.passages
    assert answer.ledger.decisions == packing.decisions
    assert answer.reading.tokens_read == answer.ledger.prompt_tokens


def test_an_empty_store_is_read_without_finding_anything(tmp_path: Path, rag):
    with RAGSystem.open(tmp_path / "store", embedder=rag.embedder) as empty:
        for name in StrategyName:
            answer = empty.ask(QUESTION, strategy=name)
            assert not answer.found
            assert answer.passages == ()


def test_an_unknown_strategy_is_refused_with_the_known_ones(rag):
    with pytest.raises(UsageError, match="no strategy `everything`") as raised:
        rag.ask(QUESTION, strategy="everything")
    assert "`hierarchical`" in raised.value.hint


@pytest.mark.parametrize("strategy", ["full", "sliding", "hierarchical"])
def test_a_budget_in_which_nothing_fits_is_an_error(rag, strategy):
    with pytest.raises(BudgetError, match="no room"):
        rag.ask(QUESTION, strategy=strategy, budget=8)


def test_summaries_are_ranked_by_meaning_and_words(rag):
    with rag.store.read() as snapshot:
        reader = ExtractiveReader(QUESTION, None, rag.embedder, snapshot)
        scores = reader.relevance([SOUP, CACHE, "Weather\nIt rains.", "word " * 3_000])
    assert scores[1] == max(scores) > 0.6
    assert reader.relevance([]) == []
