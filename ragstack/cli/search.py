"""`ragstack search`: the passages that a question finds, with their scores; no answer is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ragstack.cli import console
from ragstack.cli.evidence import evidence_lines
from ragstack.cli.filters import filter_option
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.places import place
from ragstack.cli.question import joined_words
from ragstack.cli.session import open_system
from ragstack.records import Filter, Hit, Location

DEFAULT_HITS = 5


@click.command(
    epilog=examples(
        "ragstack search notice period",
        'ragstack search "notice period" --top-k 10 --filter "contracts/**"',
        'ragstack search "error E1042" --explain',
        'ragstack search "notice period" --json',
    )
)
@click.argument("query", nargs=-1, required=True, metavar="QUERY")
@setting_options("top_k", "reranker")
@filter_option
@click.option("--explain", is_flag=True, help="Say of each hit which evidence brought it to its place.")
@json_option
@setting_options("model", "offline", "store")
@click.pass_context
def search(ctx: click.Context, query: Sequence[str], where: Filter, explain: bool) -> None:
    """Find the chunks of the store that fit QUERY best, best first.

    The score is comparable within one search only. Exits with 1 when nothing is found.
    """
    words = joined_words(query)
    settings = read_settings()
    with open_system(settings, soon_to_ask=True) as system:
        hits = system.retrieve(words, settings.top_k.value or DEFAULT_HITS, where=where)
        with system.store.read() as snapshot:
            places = [snapshot.locate(hit.chunk.document_id, hit.chunk.start, hit.chunk.end) for hit in hits]
    if wants_json():
        console.write_json({"query": words, "hits": hits})
    elif hits:
        entries = (
            _entry(number, hit, location, explain)
            for number, (hit, location) in enumerate(zip(hits, places, strict=True), start=1)
        )
        console.write("\n\n".join(entries))
    if not hits:
        console.note("Nothing in the store fits this")
        console.hint("run `ragstack inspect documents` to list what is there")
        ctx.exit(1)


def _entry(number: int, hit: Hit, location: Location, explain: bool) -> str:
    """Rank, score and place in a line, its evidence if that is asked for, and the text below it."""
    chunk = hit.chunk
    title = f"{number}. {hit.score:.4f}  {place(chunk.path, location, chunk.headings)}"
    text = console.safe_text(chunk.text).strip("\n")
    why = [*evidence_lines(number, hit), ""] if explain else []
    return "\n".join([console.heading(title), *why, *(f"   {line}" for line in text.split("\n"))])
