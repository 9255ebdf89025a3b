"""The ledger: limits, charges, what is left, and what is said when nothing fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_world import TextWorld, WordCounter

from ragstack.answering.prompt import LanguageModelFrame
from ragstack.context.frames import PrintedFrame
from ragstack.context.ledger import Limit, Outcome, close_ledger, explain, open_ledger, outcome
from ragstack.context.packing import pack
from ragstack.context.readers import ReaderModel, extractive_reader
from ragstack.errors import BudgetError, UsageError
from ragstack.records import LedgerTerm

QUESTION = "Who fed the cat on Sunday"


def reader(**changes: object) -> ReaderModel:
    values: dict[str, object] = {"name": "wren", "window": 1_000, "counter": WordCounter(), "reserve": 100}
    return ReaderModel(**(values | changes))


def test_an_extractive_ledger_has_the_window_alone_and_says_why() -> None:
    ledger = open_ledger(extractive_reader(WordCounter()), PrintedFrame(QUESTION))
    assert [term.name for term in ledger.limits] == ["window"]
    assert ledger.binding.tokens == 4_096
    assert ledger.reserve == 0
    assert [(term.name, term.tokens) for term in ledger.charges] == [("question", 6)]
    assert ledger.passage_budget == 4_090
    assert "neither memory nor latency" in ledger.notes[0]


def test_the_reserve_of_the_reader_holds_unless_another_is_given() -> None:
    assert open_ledger(reader(), PrintedFrame(QUESTION)).binding.tokens == 900
    assert open_ledger(reader(), PrintedFrame(QUESTION), reserve=250).binding.tokens == 750


def test_the_smallest_limit_binds_and_decides_what_is_left() -> None:
    limits = [
        LedgerTerm(Limit.MEMORY, 700, "2 GB free"),
        LedgerTerm(Limit.LATENCY, 300, "5 s to the first token"),
        LedgerTerm(Limit.EFFECTIVE, 800, "RULER"),
    ]
    ledger = open_ledger(reader(), PrintedFrame(QUESTION), limits=limits)
    assert ledger.binding.name == "latency"
    assert ledger.passage_budget == 300 - 6


def test_a_budget_caps_the_passages_themselves() -> None:
    ledger = open_ledger(reader(), PrintedFrame(QUESTION), budget=40)
    assert ledger.binding.name == "budget"
    assert ledger.passage_budget == 40
    assert open_ledger(reader(), PrintedFrame(QUESTION), budget=4_000).passage_budget == 894


def test_the_charges_are_exactly_what_the_frame_counts_without_passages() -> None:
    frame = LanguageModelFrame.for_question(QUESTION, history="You: hello\nReader: hello")
    counter = WordCounter()
    ledger = open_ledger(reader(counter=counter, overhead=7), frame)
    charged = {term.name: term.tokens for term in ledger.charges}
    assert set(charged) == {"system prompt", "template", "question", "history", "reader overhead"}
    assert sum(charged.values()) == counter.count(frame.render([])) + 7


def test_an_unknown_tokenizer_costs_a_stated_margin() -> None:
    known = open_ledger(reader(), PrintedFrame(QUESTION))
    unknown = open_ledger(reader(counter_is_own=False), PrintedFrame(QUESTION))
    margin = next(term for term in unknown.charges if term.name == "safety margin")
    assert margin.tokens == 90
    assert "10%" in margin.reason
    assert unknown.passage_budget == known.passage_budget - 90


@pytest.mark.parametrize(
    ("limit", "said", "hint"),
    [
        (Limit.WINDOW, "no room", "--window"),
        (Limit.MEMORY, "no room", "--memory"),
        (Limit.LATENCY, "too slow", "--latency"),
        (Limit.EFFECTIVE, "no room", "longer context"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_with_the_numbers(limit: Limit, said: str, hint: str) -> None:
    with pytest.raises(BudgetError) as caught:
        open_ledger(reader(), PrintedFrame(QUESTION), limits=[LedgerTerm(limit, 5, "because")])
    assert caught.value.message.startswith(said)
    assert "need 6 tokens" in caught.value.message
    assert f"the {limit} allows 5" in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_reserve_as_large_as_the_window_is_refused() -> None:
    with pytest.raises(BudgetError, match="1,000 of wren - 1,000 reserve"):
        open_ledger(reader(), PrintedFrame(QUESTION), reserve=1_000)


def test_senseless_reserves_and_budgets_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match="reserve is -1"):
        open_ledger(reader(), PrintedFrame(QUESTION), reserve=-1)
    with pytest.raises(UsageError, match="budget is 0"):
        open_ledger(reader(), PrintedFrame(QUESTION), budget=0)


def packed_outcome(
    budget: int | None, limits: list[LedgerTerm], texts: list[str]
) -> tuple[Outcome, str, str]:
    world = TextWorld(dict(enumerate(texts, start=1)))
    hits = [world.hit_on(number, text, 1.0, number) for number, text in world.texts.items()]
    frame = PrintedFrame(QUESTION)
    ledger = open_ledger(reader(), frame, limits=limits, budget=budget)
    packing = pack(hits, ledger.passage_budget, source=world, frame=frame, counter=WordCounter())
    closed = close_ledger(ledger, packing)
    return outcome(closed), *explain(closed)


def test_the_four_outcomes_have_four_messages() -> None:
    slow = [LedgerTerm(Limit.LATENCY, 10, "1 s to the first token")]
    sentence = "The cat was fed on Sunday by the neighbour."
    results = [
        packed_outcome(None, [], [sentence]),
        packed_outcome(None, [], []),
        packed_outcome(3, [], [sentence]),
        packed_outcome(None, slow, [sentence]),
    ]
    assert [result[0] for result in results] == [
        Outcome.PACKED, Outcome.NOTHING_RELEVANT, Outcome.NO_ROOM, Outcome.TOO_SLOW,
    ]  # fmt: skip
    messages = [result[1] for result in results]
    assert messages[0] == "1 of 1 hits packed into 13 of 894 tokens"
    assert messages[1] == "nothing relevant was found"
    assert messages[2].startswith("no room: the budget")
    assert "leaves 3 tokens" in messages[2]
    assert messages[3].startswith("too slow: the latency (1 s to the first token) leaves 4 tokens")
    assert "--latency" in results[3][2]


terms = st.lists(
    st.builds(
        LedgerTerm,
        st.sampled_from([Limit.MEMORY, Limit.LATENCY, Limit.EFFECTIVE]),
        st.integers(min_value=0, max_value=2_000),
        st.just("given"),
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(
    limits=terms,
    window=st.integers(min_value=1, max_value=2_000),
    reserve=st.integers(min_value=0, max_value=500),
    budget=st.none() | st.integers(min_value=1, max_value=500),
    own=st.booleans(),
    overhead=st.integers(min_value=0, max_value=20),
    question=st.text(alphabet="ab \n", max_size=60),
)
def test_the_terms_add_up(
    limits: list[LedgerTerm],
    window: int,
    reserve: int,
    budget: int | None,
    own: bool,
    overhead: int,
    question: str,
) -> None:
    model = reader(window=window, counter_is_own=own, overhead=overhead)
    frame = LanguageModelFrame.for_question(question)
    try:
        ledger = open_ledger(model, frame, limits=limits, reserve=reserve, budget=budget)
    except BudgetError:
        charged = WordCounter().count(frame.render([])) + overhead
        smallest = min([window - reserve, *(limit.tokens for limit in limits)])
        assert smallest * (1.0 if own else 0.9) <= charged + 1
        return
    charged = sum(term.tokens for term in ledger.charges)
    assert ledger.passage_budget == min(term.tokens for term in ledger.limits) - charged > 0
    assert charged >= WordCounter().count(frame.render([])) + overhead
    assert ledger.binding.tokens <= window - reserve
    assert budget is None or ledger.passage_budget <= budget
    assert ledger.prompt_tokens == charged
