"""Counts a prompt as the model will read it: after its chat template, all at once.

The ledger counts the parts and allows for the template; only the whole, templated, is what the window must
hold. Says by how much a prompt is too long, and charges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragstack.answering.prompt import LanguageModelFrame
from ragstack.context.ledger import checked
from ragstack.records import Generator, Ledger, LedgerTerm, Passage

TERM = "chat template"


def templated_tokens(
    generator: Generator, frame: LanguageModelFrame, passages: Sequence[Passage]
) -> int | None:
    """Tokens of the prompt with these passages, as the model reads it; None where nobody can count them."""
    return generator.count_prompt(frame.messages(passages))


def prompt_limit(ledger: Ledger) -> int:
    """The tokens that a templated prompt may have: all limits but a cap on passages."""
    return min(term.tokens for term in ledger.limits if term.name != "budget")


def charged_for_template(ledger: Ledger, excess: int) -> Ledger:
    """The ledger with `excess` tokens less for passages.

    Raises BudgetError when nothing is left.
    """
    before = sum(term.tokens for term in ledger.charges if term.name == TERM)
    others = tuple(term for term in ledger.charges if term.name != TERM)
    term = LedgerTerm(TERM, before + excess, "what the whole prompt has beyond its parts")
    smaller = replace(
        ledger,
        charges=(*others, term),
        passage_budget=ledger.passage_budget - excess,
        passage_tokens=0,
        decisions=(),
    )
    return checked(smaller)
