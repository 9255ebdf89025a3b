"""Prints the ledger: every term of the budget, which one bound, and what became of each hit."""

from __future__ import annotations

from ragstack.cli.console import heading, safe_line
from ragstack.cli.tables import columns, wrapped_columns
from ragstack.records import Ledger


def ledger_lines(ledger: Ledger) -> list[str]:
    """The whole ledger, sizes in tokens of the reader."""
    return [
        heading(f"Budget, in tokens of the reader `{safe_line(ledger.reader)}`"),
        *wrapped_columns(
            [*term_rows(ledger), ("spent on passages", f"{ledger.passage_tokens:,}", "")], right=(1,)
        ),
        *(wrapped_columns([(note,) for note in ledger.notes]) if ledger.notes else []),
        *_considered(ledger),
    ]


def _considered(ledger: Ledger) -> list[str]:
    """What became of each hit; nothing where no search was asked."""
    if not ledger.decisions:
        return []
    return ["", heading("Passages considered"), *columns(_decisions(ledger), right=(2, 3))]


def budget_line(ledger: Ledger, candidates: int, passages: int) -> str:
    """How full the prompt is, in one line."""
    tokens = f"{ledger.prompt_tokens:,} of {ledger.binding.tokens:,} tokens"
    return f"context {tokens}, {passages:,} passages of {candidates:,} candidates"


def term_rows(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Limits, reserve, charges and what they leave: a name, tokens, and why it is that many."""
    binding = ledger.binding
    limits = [
        (f"limit: {term.name}", f"{term.tokens:,}", term.reason + ("; binds" if term is binding else ""))
        for term in ledger.limits
    ]
    charges = [(f"charge: {term.name}", f"{term.tokens:,}", term.reason) for term in ledger.charges]
    return [
        *limits,
        ("reserve", f"{ledger.reserve:,}", "kept for the answer"),
        *charges,
        ("left for passages", f"{ledger.passage_budget:,}", "the smallest limit less the charges"),
    ]


def _decisions(ledger: Ledger) -> list[tuple[str, ...]]:
    return [
        (
            "kept" if decision.kept else "dropped",
            f"chunk {decision.chunk_id}",
            f"{decision.score:.4f}",
            f"{decision.marginal_tokens:+,}",
            f"{decision.path}:{decision.start}-{decision.end}",
            decision.reason + (f" (near chunk {decision.beside})" if decision.beside is not None else ""),
        )
        for decision in ledger.decisions
    ]
