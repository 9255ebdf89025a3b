"""Prints what a context strategy read, and what that takes of the reader's memory and time."""

from __future__ import annotations

from ragstack.cli.console import heading, safe_line
from ragstack.cli.quantities import counted, size
from ragstack.cli.tables import columns
from ragstack.records import Answer, Omission, ReadingCost

NAMED_OMISSIONS = 10
"""Documents that did not fit, as many as are listed; `--json` has all."""


def reading_line(answer: Answer) -> str:
    """How much was read, in one line."""
    assert answer.reading is not None
    prompts = counted(len(answer.reading.passes), "prompt")
    return f"strategy {answer.reading.strategy}: {prompts}, {answer.reading.tokens_read:,} tokens read"


def reading_lines(answer: Answer) -> list[str]:
    """The prompts that were read, what they cost, and what did not fit."""
    reading, cost = answer.reading, answer.cost
    assert reading is not None
    assert cost is not None
    rows = [
        ("prompts", f"{len(reading.passes):,}"),
        ("tokens read", f"{reading.tokens_read:,}"),
        ("longest prompt", f"{reading.largest_prompt:,}"),
        *_model_rows(cost),
    ]
    return [
        heading(f"Reading by the strategy `{reading.strategy}`"),
        *columns(rows, right=(1,)),
        f"  {safe_line(cost.reason)}",
        *_omissions(reading.omitted),
    ]


def _model_rows(cost: ReadingCost) -> list[tuple[str, str]]:
    rows = []
    if cost.cache_bytes is not None:
        rows.append(("key-value cache", size(cost.cache_bytes)))
    if cost.peak_bytes is not None and cost.peak_bytes_upper is not None:
        rows.append(("peak memory, expected", size(cost.peak_bytes)))
        rows.append(("peak memory, at most", size(cost.peak_bytes_upper)))
    if cost.prefill_seconds is not None:
        rows.append(("time to read", f"{cost.prefill_seconds:,.1f} s"))
    return rows


def _omissions(omitted: tuple[Omission, ...]) -> list[str]:
    if not omitted:
        return []
    rows = [
        (safe_line(each.path), f"{each.read:,} of {each.characters:,}") for each in omitted[:NAMED_OMISSIONS]
    ]
    more = len(omitted) - NAMED_OMISSIONS
    return [
        "",
        heading("Did not fit (characters that were read)"),
        *columns(rows, right=(1,)),
        *([f"  and {counted(more, 'document')} more"] if more > 0 else []),
    ]
