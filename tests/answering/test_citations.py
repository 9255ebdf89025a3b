from __future__ import annotations

import pytest
from packing_world import TextWorld, passage

from ragstack.answering.citations import cite
from ragstack.errors import UsageError

WORLD = TextWorld({1: "One.\nTwo.\nThree. Four."})
PASSAGES = [passage("Two.\nThree.", start=5), passage("Four.", start=17)]


def test_a_citation_quotes_its_span_and_says_where_it_lies() -> None:
    citation = cite(1, PASSAGES, 10, 16, WORLD)
    assert (citation.number, citation.quote, str(citation.location)) == (1, "Three.", "line 3")
    assert citation.passage is PASSAGES[0]


@pytest.mark.parametrize("number", [0, 3, -1])
def test_only_what_was_packed_can_be_cited(number: int) -> None:
    with pytest.raises(UsageError, match="cites nothing: the prompt has 2 passages"):
        cite(number, PASSAGES, 10, 16, WORLD)


@pytest.mark.parametrize(("start", "end"), [(4, 9), (10, 17), (12, 12), (17, 22)])
def test_a_span_outside_its_passage_cannot_be_cited(start: int, end: int) -> None:
    with pytest.raises(UsageError, match=r"not in passage \[1\]"):
        cite(1, PASSAGES, start, end, WORLD)
