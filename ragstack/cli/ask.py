"""`ragstack ask`: an answer with its sources, and on demand the budget it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import click

from ragstack.cli import console
from ragstack.cli.filters import filter_option
from ragstack.cli.ledger import budget_line, ledger_lines
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.places import source
from ragstack.cli.question import read_question
from ragstack.cli.session import open_system
from ragstack.records import Answer, Filter


@click.command(
    epilog=examples(
        'ragstack ask "how long is the notice period?"',
        'ragstack ask "what changed in version 2?" --filter "docs/**" --filter type=pdf',
        'ragstack ask "who approves travel?" --window 8192 --explain',
        "ragstack ask --json - < question.txt",
    )
)
@click.argument("question", nargs=-1, metavar="QUESTION|-")
@setting_options("top_k", "window", "budget", "reserve")
@filter_option
@click.option(
    "--explain", is_flag=True, help="Print the ledger: where every token of the budget went, and why."
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr how full the context was.")
@json_option
@setting_options("model", "offline", "store")
def ask(question: Sequence[str], where: Filter, explain: bool, verbose: bool) -> None:
    """Answer QUESTION from the store, and name the sources.

    `-` reads the question from standard input. Text that is piped in is joined to a question that is given.
    Exits with 1 when nothing in the store answers it.
    """
    words = read_question(question)
    settings = read_settings()
    with open_system(settings) as system:
        answer = system.ask(
            words,
            top_k=settings.top_k.value,
            window=settings.window.value,
            budget=settings.budget.value,
            reserve=settings.reserve.value,
            where=where,
        )
    for warning in answer.warnings:
        console.warn(warning)
    if wants_json():
        console.write_json(answer)
    elif answer.found or explain:
        console.write(_page(answer, explain))
    if verbose:
        console.note(budget_line(answer.ledger, len(answer.hits), len(answer.passages)))
    if not answer.found:
        _say_why_not(answer, where)
        click.get_current_context().exit(1)


def _page(answer: Answer, explain: bool) -> str:
    blocks = []
    if answer.found:
        blocks.append(console.safe_text(answer.text))
    if answer.citations:
        blocks.append("\n".join([console.heading("Sources:"), *_sources(answer)]))
    if explain:
        blocks.append("\n".join(ledger_lines(answer.ledger)))
    return "\n\n".join(blocks)


def _sources(answer: Answer) -> list[str]:
    """One line a number, in order."""
    by_number = attrgetter("number")
    numbered = groupby(sorted(answer.citations, key=by_number), by_number)
    return [f"[{number}] {source(list(same), answer.hits)}" for number, same in numbered]


def _say_why_not(answer: Answer, where: Filter) -> None:
    from ragstack.context.ledger import Outcome, explain, outcome

    if outcome(answer.ledger) in (Outcome.NO_ROOM, Outcome.TOO_SLOW):
        console.show_error(*explain(answer.ledger))
        return
    console.note(answer.text)
    if answer.hits:
        console.hint("ask in other words, or ingest what should answer it")
    elif where.is_empty:
        console.hint("the store is empty: run `ragstack ingest FOLDER` first")
    else:
        console.hint("no document passes `--filter`: run `ragstack inspect documents` to list them")
