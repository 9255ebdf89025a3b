"""`ragstack chat`: a conversation about the documents; follow-ups need not repeat what they are about."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragstack.cli import console
from ragstack.cli.answers import AnswerStream, source_lines, statistics
from ragstack.cli.conversations import last_conversation, turns_of
from ragstack.cli.filters import filter_option
from ragstack.cli.jsonable import jsonable
from ragstack.cli.ledger import ledger_lines
from ragstack.cli.options import examples, read_settings, setting_options
from ragstack.cli.question import as_typed
from ragstack.cli.session import open_system
from ragstack.errors import RagstackError
from ragstack.records import Answer, Filter, Generator, Turn

if TYPE_CHECKING:
    from ragstack.config import Settings
    from ragstack.system import RAGSystem

_PROMPT = "> "

_HELP = """/sources      the sources of the last answer
/budget       the ledger of the last prompt
/forget       go on as if nothing had been said
/save FILE    write the conversation to a new JSON file
/help         this list
/quit         end, as does Ctrl-D; Ctrl-C stops an answer"""


@click.command(
    epilog=examples(
        "ragstack chat",
        "ragstack chat --llm ollama:llama3.2",
        'ragstack chat --continue --filter "minutes/**"',
    )
)
@setting_options("llm", "top_k", "reranker", "window", "budget", "reserve", "memory", "latency")
@click.option("-c", "--continue", "continued", is_flag=True, help="Go on with the last conversation.")
@click.option("--stats", is_flag=True, help="Say on stderr how fast the language model was, and predicted.")
@click.option("--no-log", is_flag=True, help="Write nothing into the history.")
@filter_option
@setting_options("model", "offline", "store")
def chat(where: Filter, continued: bool, stats: bool, no_log: bool) -> None:
    """Ask one question after another, each in the light of those before.

    Questions come from the terminal, or one a line from standard input. `/help` lists what else can be typed.
    """
    settings = read_settings()
    with open_system(settings, soon_to_ask=True) as system:
        conversation = last_conversation(system) if continued else None
        talk = Conversation(
            system=system,
            settings=settings,
            where=where,
            conversation_id=conversation,
            turns=turns_of(system, conversation),
            logs=not no_log,
            stats=stats,
        )
        try:
            _talk(talk)
        finally:
            talk.close()


def _talk(talk: Conversation) -> None:
    """Read line after line until the end."""
    is_terminal = console.has_terminal()
    if is_terminal:
        _edit_lines()
        console.note("Ask, or type /help; Ctrl-D ends")
    while (line := _next_line(is_terminal)) is not None:
        question = as_typed(line).strip()
        if question in ("/quit", "/exit"):
            return
        if question:
            try:
                talk.take(question)
            except RagstackError as error:
                console.show_error(error.message, error.hint)


def _edit_lines() -> None:
    """Arrow keys and earlier lines, where the platform has them."""
    try:
        import readline  # noqa: F401 - importing it is what switches line editing on
    except ImportError:
        return


def _next_line(is_terminal: bool) -> str | None:
    """The next line; None at the end. Ctrl-C at an empty prompt only begins a new line."""
    while True:
        try:
            if is_terminal:
                return input(_PROMPT)
            return sys.stdin.readline() or None
        except EOFError:
            console.write()
            return None
        except KeyboardInterrupt:
            console.write()
            if not is_terminal:
                return None


@dataclass
class Conversation:
    """The state of a chat: what was said, where it is written down, and the last answer."""

    system: RAGSystem
    settings: Settings
    where: Filter
    conversation_id: int | None = None
    turns: list[Turn] = field(default_factory=list)
    logs: bool = True
    stats: bool = False
    last: Answer | None = None
    generator: Generator | None = None

    def close(self) -> None:
        """Release the language model."""
        if self.generator is not None:
            self.generator.close()

    def _demands(self) -> dict[str, Any]:
        """What every question is asked with; a language model is opened once and stays loaded."""
        demands = self.settings.answer_demands()
        if demands["llm"] is not None and self.generator is None:
            from ragstack.answering.generators.opening import open_generator

            self.generator = open_generator(demands["llm"])
        return {**demands, "llm": self.generator}

    def take(self, line: str) -> None:
        """A command if it begins with `/`, else a question."""
        word, _, rest = line.partition(" ")
        commands: Mapping[str, Any] = {
            "/sources": lambda: self._show(source_lines),
            "/budget": lambda: self._show(lambda answer: ledger_lines(answer.ledger)),
            "/forget": self._forget,
            "/save": lambda: self._save(rest.strip()),
            "/help": lambda: console.write(_HELP),
        }
        if word in commands:
            commands[word]()
        elif word.startswith("/"):
            console.note(f"there is no command {word}; /help lists them")
        else:
            self._ask(line)

    def _ask(self, question: str) -> None:
        stream = AnswerStream()
        answer = self.system.ask(
            question,
            top_k=self.settings.top_k.value,
            budget=self.settings.budget.value,
            reserve=self.settings.reserve.value,
            where=self.where,
            turns=self.turns,
            show=stream.show,
            **self._demands(),
        )
        stream.finish()
        self.last = answer
        self._print(answer, streamed=stream.has_begun)
        self.turns.append(Turn(answer.question, answer.text, answer.standalone))
        if self.logs:
            self.conversation_id = self.system.record(answer, self.conversation_id) or self.conversation_id

    def _print(self, answer: Answer, *, streamed: bool) -> None:
        for warning in answer.warnings:
            console.warn(warning)
        if not streamed and answer.text:
            console.write(console.safe_text(answer.text) + "\n")
        for line in source_lines(answer):
            console.write(line)
        if self.stats:
            statistics(answer)
        if answer.generation is not None and answer.generation.error:
            console.show_error(answer.generation.error, answer.generation.hint or None)

    def _show(self, lines: Any) -> None:
        if self.last is None:
            console.note("nothing was asked yet")
            return
        console.write("\n".join(lines(self.last)) or "The last answer has none")

    def _forget(self) -> None:
        """What was said stays in the history; only this conversation goes on without it."""
        self.turns.clear()
        self.conversation_id = None
        self.last = None
        console.note("forgotten; `ragstack history clear` erases what was written down")

    def _save(self, name: str) -> None:
        path = Path(name).expanduser()
        if not name or path.exists():
            console.note("name a file that does not exist yet, as in /save talk.json")
            return
        path.write_text(json.dumps(jsonable(self.turns), indent=2) + "\n", encoding="ascii")
        console.note(f"wrote {len(self.turns):,} turns to `{path}`")
