"""The root command: which commands there are, and what happens to an error that none of them handles."""

from __future__ import annotations

import errno
import gc
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from ragstack._version import __version__
from ragstack.cli import console
from ragstack.cli.options import examples
from ragstack.errors import RagstackError, StoreDamagedError

# The name of a command, and where it is defined; in the order of the help.
COMMANDS: Mapping[str, str] = {
    "ingest": "ragstack.cli.ingest:ingest",
    "ask": "ragstack.cli.ask:ask",
    "chat": "ragstack.cli.chat:chat",
    "search": "ragstack.cli.search:search",
    "budget": "ragstack.cli.budget:budget",
    "inspect": "ragstack.cli.inspection:inspect",
    "evaluate": "ragstack.cli.evaluate:evaluate",
    "figures": "ragstack.cli.figures:figures",
    "report": "ragstack.cli.report:report",
    "history": "ragstack.cli.history:history",
    "sources": "ragstack.cli.sources:sources",
    "remove": "ragstack.cli.remove:remove",
    "purge": "ragstack.cli.purge:purge",
    "reembed": "ragstack.cli.reembed:reembed",
    "verify": "ragstack.cli.verify:verify",
    "repair": "ragstack.cli.repair:repair",
    "backup": "ragstack.cli.backup:backup",
    "restore": "ragstack.cli.restore:restore",
    "doctor": "ragstack.cli.doctor:doctor",
    "path": "ragstack.cli.path:path",
}

# The first line of each command's help, so that listing them need not import them all (a test compares).
SUMMARIES: Mapping[str, str] = {
    "ingest": "Read the files in PATH... into the store; `-` reads one document from stdin.",
    "ask": "Answer QUESTION from the store, and name the sources.",
    "chat": "Ask one question after another, each in the light of those before.",
    "search": "Find the chunks of the store that fit QUERY best, best first.",
    "budget": "Print how much context fits MODEL, and why.",
    "inspect": "Show what the store holds, as a whole or in detail.",
    "evaluate": "Measure retrieval and packing on DATASET.",
    "figures": "Draw figures into DIR: one sheet, and each as PNG, SVG and CSV.",
    "report": "Write one HTML page about the store to FILE.",
    "history": "Show, export or erase what was asked and answered.",
    "sources": "List the roots that documents come from; relocate or remove one.",
    "remove": "Remove documents from the store: PATH is a file or the name of a text, ID its number.",
    "purge": "Erase what was removed from every file of the store.",
    "reembed": "Make the index anew with another embedding model or other chunks.",
    "verify": "Check the store against itself.",
    "repair": "Mend what is damaged in the store, or say what would be done.",
    "backup": "Copy the store into the new directory DEST.",
    "restore": "Make a store of BACKUP, a directory that `ragstack backup` or a repair made.",
    "doctor": "Examine the machine, the libraries, the model and the store.",
    "path": "Print the store's directory, the settings, and why.",
}


class RootGroup(click.Group):
    """Finds commands by name without importing the others; an error becomes a message and an exit code."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, in the order of a first use."""
        return list(COMMANDS)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with its summary, as click would write it."""
        room = formatter.width - 6 - max(map(len, COMMANDS))
        rows = [
            (name, click.Command(name, help=SUMMARIES.get(name)).get_short_help_str(room))
            for name in COMMANDS
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The command line taken apart; an option that stands before the command belongs after it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            option = error.option_name
            ctx.fail(f"No option '{option}' before the command. Give it after, as `ragstack ask {option}`.")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names; click's own suggestions do not know lazy commands."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"No such command '{name}'." + (f" Did you mean '{close[0]}'?" if close else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes a message, and a traceback only when debugging."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if console.is_debugging() or _is_broken_pipe(error):
                raise
            ctx.exit(_report(error))


def _is_broken_pipe(error: Exception) -> bool:
    """Whether nobody reads our output any more; click ends the program quietly then."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _report(error: Exception) -> int:
    """Say what went wrong; returns the exit code."""
    if isinstance(error, RagstackError):
        console.show_error(error.message, _next_step(error))
        return error.exit_code
    if isinstance(error, OSError):
        console.show_error(str(error), None)
        return 1
    console.show_error(
        f"unexpected {type(error).__name__}: {error}",
        "this is a mistake in ragstack; run again with `RAGSTACK_DEBUG=1` and report the traceback",
    )
    return 1


def _next_step(error: RagstackError) -> str | None:
    """What to do about an error, as a command where one is known to help."""
    if isinstance(error, StoreDamagedError) and "`ragstack " not in (error.hint or ""):
        return "run `ragstack verify` to see what is damaged and which command helps"
    return error.hint


_EPILOG = (
    examples("ragstack ingest ~/notes", 'ragstack ask "how long is the notice period?"', "ragstack inspect")
    + """

\b
Shell completion, in the start file of your shell:
  bash  eval "$(_RAGSTACK_COMPLETE=bash_source ragstack)"
  zsh   eval "$(_RAGSTACK_COMPLETE=zsh_source ragstack)"
  fish  _RAGSTACK_COMPLETE=fish_source ragstack | source

\b
Exit codes: 0 done, 1 nothing found or something failed, 2 wrong usage.
`RAGSTACK_DEBUG=1` shows tracebacks, `NO_COLOR=1` turns colours off."""
)


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="ragstack", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Ask questions of your own documents, on your own machine.

    Point it at a folder, ask, and see which passages the answer rests on. How much context goes into a prompt
    is computed, not guessed.
    """
    if console.wants_plain_output():
        ctx.color = False


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # At Python's own thresholds a tenth of a short command's time is spent looking for garbage among modules.
    gc.set_threshold(100_000, 20, 50)
    console.forgive_encoding()
    try:
        cli.main(prog_name="ragstack")
    finally:
        # Another tenth would go to looking once more before the process ends, which frees it all at once.
        gc.freeze()
