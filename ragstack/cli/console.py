"""What the command line writes, and to which stream: stdout is data, stderr is everything else.

Document text, file names and model output are untrusted; whoever prints them passes them through `safe_text`
or `safe_line` first, so that no byte of theirs can steer a terminal. Nothing here knows what the words mean.
"""

from __future__ import annotations

import json
import os
import re
import sys
from io import TextIOWrapper

import click

from ragstack.cli.commands import with_store
from ragstack.cli.jsonable import jsonable
from ragstack.errors import UsageError

# C0 but tab and line feed, DEL, C1, the explicit bidirectional controls, surrogates of undecodable names.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Left-to-right, right-to-left and Arabic letter mark: ordinary in right-to-left prose, invisible always.
_IMPLICIT_MARKS = re.compile("[\u061c\u200e\u200f]")
_LINE_BREAK = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
_UNSAFE_IN_LINE = re.compile(f"[\t\n]|{_UNSAFE.pattern}|{_IMPLICIT_MARKS.pattern}")


def safe_text(text: str) -> str:
    """Text of several lines that cannot steer a terminal: lines and tabs stay, controls are spelt out."""
    return _UNSAFE.sub(_spelt_out, _IMPLICIT_MARKS.sub("", _LINE_BREAK.sub("\n", text)))


def safe_line(text: str) -> str:
    r"""Text as one line that cannot steer a terminal: a line feed in a file name shows as `\n`."""
    return _UNSAFE_IN_LINE.sub(_spelt_out, text)


def _spelt_out(match: re.Match[str]) -> str:
    character = match[0]
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(character)
    code = ord(character)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def write(text: str = "") -> None:
    """Data, to stdout. Untrusted parts must be safe already."""
    click.echo(text)


def write_on(text: str) -> None:
    """Data, to stdout at once and without a line end. Untrusted parts must be safe already."""
    click.echo(text, nl=False)
    sys.stdout.flush()


def note(text: str) -> None:
    """One line about what is going on, to stderr."""
    click.echo(safe_line(text), err=True)


def warn(text: str) -> None:
    """One line about something that needs attention, to stderr."""
    click.echo(click.style("warning: ", fg="yellow") + safe_line(text), err=True)


def hint(text: str) -> None:
    """One line on what to do next, to stderr; the commands in it are about the store of this command line."""
    click.echo(click.style("hint: ", fg="cyan") + safe_line(with_store(text)), err=True)


def show_error(message: str, advice: str | None) -> None:
    """Why the command ends here, and what to do next, to stderr."""
    click.echo(click.style("Error: ", fg="red") + safe_line(message), err=True)
    if advice:
        hint(advice)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; `click.Abort` ends the command if the answer is no.

    Raises `UsageError` when there is nobody to ask: an answer out of a pipe may be meant for something else.
    """
    if yes:
        return
    if not has_terminal():
        raise UsageError(
            "this needs a yes, and standard input is not a terminal to ask on",
            hint="add `--yes` if you are sure",
        )
    click.confirm(safe_line(question), abort=True, err=True)


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def write_json(value: object) -> None:
    """One JSON document, to stdout: lossless, readable where the stream can carry it, safe for terminals."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=encoding != "utf8", allow_nan=False)
    controls = re.compile(f"{_UNSAFE.pattern}|{_IMPLICIT_MARKS.pattern}")
    write(controls.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def heading(text: str) -> str:
    """A heading of the output; still one when colours are off."""
    return click.style(text, bold=True)


def is_debugging() -> bool:
    """Whether errors keep their traceback."""
    return os.environ.get("RAGSTACK_DEBUG", "") not in ("", "0")


def wants_plain_output() -> bool:
    """Whether the user or the terminal asks for no colour (https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def forgive_encoding() -> None:
    """Let a character that the stream cannot encode show as `?` instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
