"""`ragstack history`: what was asked of this store, and what was answered. Loads no model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console, tables
from ragstack.cli.answers import statistics_lines
from ragstack.cli.jsonable import jsonable
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json, yes_option
from ragstack.cli.session import open_system
from ragstack.errors import UsageError

if TYPE_CHECKING:
    from ragstack.store.history.rows import ConversationInfo, HistoryPassage, HistoryTurn

_CONVERSATION = click.argument("conversation", type=click.IntRange(min=1), metavar="ID")
_QUESTION_CHARACTERS = 60


@click.group(
    epilog=examples(
        "ragstack history list",
        "ragstack history show 3",
        "ragstack history export > history.jsonl",
        "ragstack history clear --yes",
    ),
)
@json_option
@setting_options("store")
def history() -> None:
    """Show, export or erase what was asked and answered."""


@history.command(
    "list",
    epilog=examples(
        "ragstack history list",
        "ragstack history list --limit 5 --json",
    ),
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="How many."
)
@json_option
@setting_options("store")
def list_conversations(limit: int) -> None:
    """List the conversations, the latest first."""
    with open_system(read_settings()) as system:
        found = system.history.conversations(limit)
    if wants_json():
        console.write_json({"conversations": found})
    elif found:
        console.write("\n".join(_listing(found)))
    else:
        console.note("Nothing was asked yet, or nothing was written down")


@history.command(
    epilog=examples(
        "ragstack history show 3",
        "ragstack history show 3 --passages",
    )
)
@_CONVERSATION
@click.option("--passages", is_flag=True, help="Print the passages that each answer was made from.")
@json_option
@setting_options("store")
def show(conversation: int, passages: bool) -> None:
    """Show one conversation."""
    with open_system(read_settings()) as system:
        turns = system.history.turns(conversation)
    if wants_json():
        console.write_json({"conversation_id": conversation, "turns": turns})
    else:
        console.write("\n\n".join(_turn(turn, passages) for turn in turns))


@history.command(
    epilog=examples(
        "ragstack history export > history.jsonl",
        "ragstack history export 3 --output conversation.jsonl",
        "ragstack history export --json > history.json",
    )
)
@click.argument("conversation", type=click.IntRange(min=1), required=False, metavar="[ID]")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Instead of stdout.",
)
@json_option
@setting_options("store")
def export(conversation: int | None, output: Path | None) -> None:
    """Write everything that the history holds, one JSON object a turn."""
    with open_system(read_settings()) as system:
        kept = system.history
        ids = [each.conversation_id for each in reversed(kept.conversations())]
        chosen = ids if conversation is None else [conversation]
        turns = [turn for each in chosen for turn in kept.turns(each)]
    if wants_json():
        console.write_json({"turns": turns})
        return
    lines = [json.dumps(jsonable(turn), ensure_ascii=True) for turn in turns]
    if output is None:
        for line in lines:
            console.write(line)
        return
    if output.exists():
        raise UsageError(f"`{output}` exists already", hint="name a new file")
    output.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    console.note(f"Wrote {len(lines):,} turns to `{output}`")


@history.command(
    epilog=examples(
        "ragstack history clear 3",
        "ragstack history clear --yes",
    )
)
@click.argument("conversation", type=click.IntRange(min=1), required=False, metavar="[ID]")
@yes_option
@setting_options("store")
def clear(conversation: int | None, yes: bool) -> None:
    """Erase one conversation, or the whole history, from the disk too."""
    what = "the whole history" if conversation is None else f"conversation {conversation}"
    with open_system(read_settings()) as system:
        console.confirm(f"Erase {what} of `{system.path}` for good?", yes=yes)
        gone = system.history.clear(conversation)
    if gone is None:
        console.write("Erased the damaged history; the next question begins a new one")
    else:
        console.write(f"Erased {gone:,} {'turn' if gone == 1 else 'turns'}")


def _listing(found: Sequence[ConversationInfo]) -> list[str]:
    header = ("id", "turns", "last asked", "began with")
    rows = [
        (str(each.conversation_id), f"{each.turns:,}", each.last_at, _shortened(each.first_question))
        for each in found
    ]
    return tables.columns([header, *rows], right=(0, 1), indent="")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUESTION_CHARACTERS else line[: _QUESTION_CHARACTERS - 3] + "..."


def _turn(turn: HistoryTurn, passages: bool) -> str:
    lines = [console.heading(console.safe_line(f"{turn.asked_at}  {turn.question}"))]
    if turn.standalone:
        lines.append(console.safe_line(f"searched for: {turn.standalone}"))
    lines.append(console.safe_text(turn.answer) if turn.answer else "(no answer)")
    lines += [console.safe_line(_passage(each)) for each in turn.passages if each.cited or passages]
    if passages:
        lines += [f"\n{console.safe_text(f'[{each.number}] {each.text}')}" for each in turn.passages]
    if turn.generation is not None:
        about = turn.generation
        lines.append(console.safe_line(f"written by {turn.generator}"))
        lines += [console.safe_line(f"  {line}") for line in statistics_lines(about)]
        lines += [console.safe_line(f"failed: {about.error}")] if about.error else []
    return "\n".join(lines)


def _passage(passage: HistoryPassage) -> str:
    place = f", {passage.place}" if passage.place else ""
    cited = f"  {' '.join(dict.fromkeys(passage.cited))}" if passage.cited else ""
    return f"[{passage.number}] {passage.path}{place}{cited}"
