"""`ragstack inspect query`: the whole path of one question through the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ragstack.cli import console
from ragstack.cli.evidence import evidence_lines
from ragstack.cli.filters import filter_option
from ragstack.cli.ledger import ledger_lines
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.question import joined_words
from ragstack.cli.session import open_system
from ragstack.cli.tables import columns
from ragstack.records import Filter

if TYPE_CHECKING:
    from ragstack.inspection.trace import QueryTrace

_SHOWN_HITS = 5


@click.command(
    epilog=examples(
        'ragstack inspect query "How long is the notice period?"',
        'ragstack inspect query "error E1042" --filter "manual/**" --json',
    )
)
@click.argument("question", nargs=-1, required=True, metavar="QUESTION")
@filter_option
@json_option
@setting_options("model", "offline", "store")
def query(question: Sequence[str], where: Filter) -> None:
    """Follow QUESTION through every stage, with times.

    Shows its tokens, what each search found, how the scores came about, and what was packed and why.
    """
    from ragstack.inspection.trace import trace_query

    with open_system(read_settings()) as system:
        traced = trace_query(system, joined_words(question), where=where)
    if wants_json():
        console.write_json(traced)
    else:
        console.write("\n".join(_page(traced)))


def _page(traced: QueryTrace) -> list[str]:
    return [
        console.heading("Stages"),
        *columns([(stage.name, _time(stage.seconds), stage.made) for stage in traced.stages], right=(1,)),
        "",
        console.heading("Tokens"),
        "  " + console.safe_line(" | ".join(traced.tokens)),
        "",
        console.heading("Best candidates"),
        *_hit_lines(traced),
        "",
        *ledger_lines(traced.answer.ledger),
        "",
        console.heading("Answer"),
        console.safe_text(traced.answer.text),
    ]


def _hit_lines(traced: QueryTrace) -> list[str]:
    if not traced.hits:
        return ["  none"]
    lines = []
    for number, hit in enumerate(traced.hits[:_SHOWN_HITS], start=1):
        chunk = hit.chunk
        lines.append(
            f"  {number}. chunk {chunk.chunk_id} of {console.safe_line(chunk.path)}: {hit.score:.4f}"
        )
        lines += evidence_lines(number, hit)
    if len(traced.hits) > _SHOWN_HITS:
        lines.append(f"  and {len(traced.hits) - _SHOWN_HITS:,} more")
    return lines


def _time(seconds: float) -> str:
    return f"{1_000 * seconds:,.1f} ms"
