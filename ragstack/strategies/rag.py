"""Retrieval: the chunks that a search finds, packed by what they are worth. The default."""

from __future__ import annotations

from ragstack.context.ledger import close_ledger, explain
from ragstack.context.packing import pack
from ragstack.records import Reading
from ragstack.strategies.strategy import PreparedPrompt, ReadingTask, StrategyName, prompt_pass


def read_retrieved(task: ReadingTask) -> PreparedPrompt:
    """One prompt of the passages that retrieval found and the packer chose."""
    hits = tuple(task.retrieve())
    packing = pack(
        hits,
        task.budget,
        source=task.source,
        frame=task.frame,
        counter=task.counter,
        relevance=task.relevance,
    )
    ledger = close_ledger(task.ledger, packing)
    problem, hint = explain(ledger) if hits and not packing.passages else ("", "")
    return PreparedPrompt(
        passages=packing.passages,
        ledger=ledger,
        reading=Reading(StrategyName.RAG, (prompt_pass(task, "answer", packing.passages, packing.tokens),)),
        hits=hits,
        warnings=(hint,) if hint else (),
        problem=problem,
    )
