"""`ragstack ask`: an answer with its sources, and on demand the budget it was made with."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ragstack.cli import console
from ragstack.cli.answers import AnswerStream, shows_passages, source_lines, statistics
from ragstack.cli.conversations import last_conversation, turns_of
from ragstack.cli.filters import filter_option
from ragstack.cli.ledger import budget_line, ledger_lines
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.question import read_question
from ragstack.cli.reading import reading_line, reading_lines
from ragstack.cli.session import open_system
from ragstack.records import Answer, Filter
from ragstack.strategies.strategy import StrategyName


@click.command(
    epilog=examples(
        'ragstack ask "how long is the notice period?"',
        'ragstack ask "what changed in version 2?" --filter "docs/**" --filter type=pdf',
        'ragstack ask "who approves travel?" --window 8192 --explain',
        'ragstack ask "what do the minutes agree on?" --filter "minutes/**" --strategy sliding',
        'ragstack ask "who approves travel?" --reader llama3.1:8b --memory 8GB --latency 5s --explain',
        'ragstack ask "who approves travel?" --llm ollama:llama3.2 --stats',
        'ragstack ask --continue "and outside Europe?"',
        "ragstack ask --json - < question.txt",
    )
)
@click.argument("question", nargs=-1, metavar="QUESTION|-")
@setting_options("llm", "top_k", "reranker", "window", "budget", "reserve", "reader", "memory", "latency")
@click.option("-c", "--continue", "continued", is_flag=True, help="Go on with the last conversation.")
@click.option("--dry-run", is_flag=True, help="Print the prompt and its ledger; nothing is answered.")
@click.option("--stats", is_flag=True, help="Say on stderr how fast the language model was, and predicted.")
@click.option("--no-abstain", is_flag=True, help="Answer as well as can be, however little speaks for it.")
@click.option("--no-log", is_flag=True, help="Write nothing into the history.")
@click.option(
    "--effective",
    is_flag=True,
    help="Limit the prompt to the published length that the reader uses well, where there is one.",
)
@filter_option
@click.option(
    "--strategy",
    type=click.Choice([each.value for each in StrategyName]),
    default=StrategyName.RAG.value,
    show_default=True,
    help="Fill the budget from a search (rag), or from all documents that `--filter` selects: as far as they"
    " fit (full), window by window (sliding), by way of summaries (hierarchical).",
)
@click.option(
    "--explain", is_flag=True, help="Print the ledger: where every token of the budget went, and why."
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr how full the context was.")
@json_option
@setting_options("model", "offline", "store")
def ask(
    question: Sequence[str],
    where: Filter,
    strategy: str,
    effective: bool,
    explain: bool,
    verbose: bool,
    continued: bool,
    dry_run: bool,
    stats: bool,
    no_abstain: bool,
    no_log: bool,
) -> None:
    """Answer QUESTION from the store, and name the sources.

    `-` reads the question from standard input. Text that is piped in is joined to a question that is given.
    Exits with 1 when nothing in the store answers it.
    """
    words = read_question(question)
    settings = read_settings()
    stream = AnswerStream()
    with open_system(settings, soon_to_ask=True) as system:
        conversation = last_conversation(system) if continued else None
        answer = system.ask(
            words,
            top_k=settings.top_k.value,
            budget=settings.budget.value,
            reserve=settings.reserve.value,
            where=where,
            strategy=strategy,
            effective=effective,
            abstain=not no_abstain,
            turns=turns_of(system, conversation),
            show=None if wants_json() else stream.show,
            dry_run=dry_run,
            **settings.answer_demands(),
        )
        if not (no_log or dry_run):
            system.record(answer, conversation)
    stream.finish()
    _warn(answer)
    if wants_json():
        console.write_json(answer)
    elif answer.found or explain or shows_passages(answer):
        _write_page(answer, explain or dry_run, streamed=stream.has_begun)
    if stats:
        statistics(answer)
    if verbose:
        console.note(budget_line(answer.ledger, len(answer.hits), len(answer.passages)))
        console.note(reading_line(answer))
    if not _succeeded(answer, where, streamed=stream.has_begun):
        click.get_current_context().exit(1)


def _warn(answer: Answer) -> None:
    from ragstack.context.ledger import explain

    said_below = () if answer.found else explain(answer.ledger)
    for warning in answer.warnings:
        if warning not in said_below:
            console.warn(warning)


def _succeeded(answer: Answer, where: Filter, *, streamed: bool) -> bool:
    """Whether there is an answer; if not, why, on stderr."""
    if answer.generation is not None and answer.generation.error:
        console.show_error(answer.generation.error, answer.generation.hint or None)
        return False
    if not answer.found:
        _say_why_not(answer, where, streamed=streamed)
    return answer.found


def _write_page(answer: Answer, explain: bool, *, streamed: bool) -> None:
    """Text, sources and ledger; without the text if that has been shown already."""
    blocks = []
    if answer.found and not streamed:
        blocks.append(console.safe_text(answer.text))
    if sources := source_lines(answer):
        blocks.append("\n".join([console.heading("Sources:"), *sources]))
    if explain:
        blocks.append("\n".join(ledger_lines(answer.ledger)))
        blocks.append("\n".join(reading_lines(answer)))
    if blocks:
        console.write("\n\n".join(blocks))


def _say_why_not(answer: Answer, where: Filter, *, streamed: bool) -> None:
    from ragstack.context.ledger import Outcome, explain, outcome

    if outcome(answer.ledger) in (Outcome.NO_ROOM, Outcome.TOO_SLOW):
        console.show_error(*explain(answer.ledger))
        return
    if not streamed:
        console.note(answer.text)
    if answer.hits or (answer.reading and answer.reading.documents):
        console.hint("ask in other words, or ingest what should answer it")
    elif where.is_empty:
        console.hint("the store is empty: run `ragstack ingest FOLDER` first")
    else:
        console.hint("no document passes `--filter`: run `ragstack inspect documents` to list them")
