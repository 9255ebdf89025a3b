"""The command line as a whole: help, errors, exit codes, colour, and what it must not load."""

from __future__ import annotations

import os
import sys

import click
import pytest

from ragstack._version import __version__
from ragstack.cli import cli
from ragstack.cli.root import COMMANDS, SUMMARIES
from ragstack.errors import StoreDamagedError, StoreLockedError

HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "matplotlib", "numpy", "sqlalchemy"}


def every_command(command=cli, path=()):
    """Every command and group below the root, with the words that call it."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            yield (*path, name), child
            yield from every_command(child, (*path, name))


COMMAND_PATHS = [path for path, _ in every_command()]


# ------------------------------------------------------------------------------ help


@pytest.mark.parametrize("path", COMMAND_PATHS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_an_example_of_itself(invoke, path, flag):
    result = invoke(*path, flag)
    assert result.exit_code == 0
    _, _, example = result.stdout.partition("Examples:\n")
    assert example.lstrip().startswith(f"ragstack {' '.join(path)}")
    assert "\b" not in result.stdout


# An evaluation makes stores of its own.
@pytest.mark.parametrize("path", [path for path in COMMAND_PATHS if path != ("evaluate",)], ids=" ".join)
def test_every_command_takes_a_store(invoke, path):
    assert "--store DIR" in invoke(*path, "--help").stdout


CHANGING = {
    ("sources", "relocate"), ("sources", "remove"), ("remove",), ("purge",), ("reembed",), ("backup",),
    ("chat",), ("history", "clear"),
    ("restore",),
}  # fmt: skip


@pytest.mark.parametrize("path", [p for p in COMMAND_PATHS if p not in CHANGING], ids=" ".join)
def test_every_reading_command_speaks_json(invoke, path):
    assert "--json" in invoke(*path, "--help").stdout


def test_help_texts_differ():
    texts = [command.help for _, command in every_command()]
    assert len(set(texts)) == len(texts)


def test_the_root_help_lists_every_command_in_the_order_of_use_and_shell_completion(invoke):
    output = invoke("--help").stdout
    listed = [line.split()[0] for line in output.partition("Commands:\n")[2].split("\n\n")[0].splitlines()]
    assert listed == list(COMMANDS)
    assert all(f"_RAGSTACK_COMPLETE={shell}_source ragstack" in output for shell in ("bash", "zsh", "fish"))


def test_the_summaries_are_those_of_the_commands():
    told = {name: cli.get_command(click.Context(cli), name).get_short_help_str(1_000) for name in COMMANDS}
    assert told == SUMMARIES


def test_shell_completion_offers_commands_and_their_options(spawn):
    environment = os.environ | {"_RAGSTACK_COMPLETE": "bash_complete", "COMP_WORDS": "ragstack ask --win"}
    result = spawn(env=environment | {"COMP_CWORD": "2"})
    assert result.stdout.split(",")[1].strip() == "--window"


def test_the_version_is_printed(invoke):
    assert invoke("--version").stdout == f"ragstack {__version__}\n"


def test_options_name_their_environment_variable_and_default(invoke):
    output = " ".join(invoke("ask", "--help").stdout.split())
    assert "[env var: RAGSTACK_WINDOW; default: 4096; x>=1]" in output


# ----------------------------------------------------------------------------- cheap


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["path"], ["ask", "--help"], ["ingest", "--help"], ["bogus"]]
)
def test_help_and_path_load_nothing_heavy(spawn, arguments):
    code = (
        "import sys\n"
        "from ragstack.cli import cli\n"
        f"cli.main({arguments!r}, prog_name='ragstack', standalone_mode=True)"
    )
    watched = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('LOADED', *sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr))\n"
    )
    result = spawn(code=watched + code)
    assert result.stderr.splitlines()[-1] == "LOADED"


def test_every_command_module_is_cheap_to_import(spawn):
    modules = sorted({target.partition(":")[0] for target in COMMANDS.values()})
    code = f"import sys, {', '.join(modules)}; print(*sorted({HEAVY | {'rich'}!r} & set(sys.modules)))"
    result = spawn(code=code)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_a_command_does_not_import_the_others(spawn):
    code = (
        "import sys\nfrom ragstack.cli import cli\n"
        "cli.main(['path'], standalone_mode=False)\n"
        "print(sorted(name for name in sys.modules if name.startswith('ragstack.cli.in')), file=sys.stderr)"
    )
    assert spawn(code=code).stderr == "[]\n"


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["ingest"],
        ["ask", "--bogus", "x"],
        ["ask", "x", "--top-k", "0"],
        ["ask", "x", "--filter", "tpye=pdf"],
        ["search"],
        ["inspect", "chunk", "three"],
        ["sources", "remove"],
        ["sources", "remove", "--texts", "x"],
        ["remove"],
        ["backup"],
        ["restore", "nowhere"],
        ["verify", "--sample", "5"],
        ["verify", "--sample", "0%"],
        ["verify", "--sample", "101%"],
        ["verify", "--sample", "nan%"],
        ["verify", "--sample", "5%", "--deep"],
        ["verify", "--seed", "3"],
        ["reembed", "--chunk-size", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_so_on_stderr_only(invoke, arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("typo", "meant"), [("aks", "ask"), ("injest", "ingest"), ("inspct", "inspect"), ("serch", "search")]
)
def test_a_misspelt_command_is_not_a_question_but_answered_with_the_nearest_one(invoke, typo, meant):
    result = invoke(typo, "x")
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["ask", "x"], ["search", "x"], ["inspect"], ["inspect", "documents"], ["sources"],
     ["sources", "remove", "--yes", "x"], ["remove", "--yes", "x"], ["purge", "--yes"], ["reembed"],
     ["verify"], ["repair"], ["repair", "--apply", "--yes"], ["backup", "copy"]],
    ids=" ".join,
)  # fmt: skip
def test_without_a_store_reading_fails_with_a_hint_and_makes_none(invoke, folder, arguments):
    result = invoke(*arguments, "--store", folder / "none")
    assert result.exit_code == 1
    assert result.stdout == ""
    error, hint = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert hint.startswith("hint: run `ragstack ingest")
    assert list(folder.iterdir()) == []


def test_a_wrong_settings_file_exits_with_2_naming_it(invoke, folder):
    (folder / ".ragstack").mkdir()
    (folder / "ragstack.toml").write_text("window = 'big'", encoding="utf-8")
    result = invoke("path")
    assert result.exit_code == 2
    assert "`window`" in result.stderr
    assert str(folder / "ragstack.toml") in result.stderr


@pytest.fixture
def failing(monkeypatch):
    """`ragstack path` raises what it is given."""

    def fail(error):
        def read_settings():
            raise error

        monkeypatch.setattr("ragstack.cli.path.read_settings", read_settings)

    return fail


def test_an_expected_error_is_two_lines_without_a_traceback(invoke, failing):
    failing(StoreDamagedError("chunk 3 fails its check", hint="run `ragstack verify`"))
    result = invoke("path")
    assert result.exit_code == 1
    assert result.stderr == "Error: chunk 3 fails its check\nhint: run `ragstack verify`\n"


def test_damage_without_a_command_in_its_hint_gets_one(invoke, failing):
    failing(StoreDamagedError("chunk 3 fails its check", hint="restore a backup"))
    assert "\nhint: run `ragstack verify` to see" in invoke("path").stderr


def test_an_unexpected_error_is_named_and_asks_for_a_report(invoke, failing):
    failing(KeyError("x"))
    result = invoke("path")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: unexpected KeyError: 'x'\nhint: ")
    assert "Traceback" not in result.stderr


def test_an_error_of_the_operating_system_is_a_plain_message(invoke, failing):
    failing(PermissionError(13, "Permission denied", "/x"))
    assert invoke("path").stderr == "Error: [Errno 13] Permission denied: '/x'\n"


def test_debugging_lets_the_traceback_through(invoke, failing, monkeypatch):
    monkeypatch.setenv("RAGSTACK_DEBUG", "1")
    failing(StoreDamagedError("chunk 3 fails its check"))
    assert isinstance(invoke("path").exception, StoreDamagedError)


def test_a_control_sequence_in_an_error_does_not_reach_the_terminal(invoke, failing):
    failing(StoreLockedError("`a\x1b[2J\nb` is bad", hint="look at \x9b"))
    assert invoke("path").stderr == "Error: `a\\x1b[2J\\nb` is bad\nhint: look at \\x9b\n"


def test_control_c_says_aborted_and_exits_with_1(invoke, failing):
    failing(KeyboardInterrupt())
    result = invoke("path")
    assert result.exit_code == 1
    assert result.stderr.strip() == "Aborted!"


# ---------------------------------------------------------------------------- colour


def test_a_terminal_gets_colours_and_no_color_takes_them_away(invoke, monkeypatch):
    assert "\x1b[1mSettings" in invoke("path", color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in invoke("path", color=True).stdout
    assert "\nSettings\n" in invoke("path", color=True).stdout


def test_an_empty_no_color_does_not_count_and_a_dumb_terminal_gets_none(invoke, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" in invoke("path", color=True).stdout
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in invoke("path", color=True).stdout


# --------------------------------------------------------------------------- streams


@pytest.mark.skipif(sys.platform == "win32", reason="closes the reading end of a POSIX pipe")
def test_a_reader_that_leaves_early_ends_the_command_quietly(tmp_path):
    import subprocess

    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "ragstack", "path"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert process.stderr == b""


def test_characters_that_a_console_cannot_show_do_not_end_the_command(spawn, folder):
    store = folder / "日本 naïve"
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    result = spawn("path", "--store", store, env=environment, text=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert "?? naïve".encode("cp1252") in result.stdout


def test_json_survives_a_console_that_cannot_show_it(spawn, folder):
    import json

    store = folder / "日本"
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    result = spawn("path", "--json", "--store", store, env=environment, text=False)
    assert json.loads(result.stdout)["store"]["path"] == store.as_posix()


def test_an_option_before_the_command_is_told_where_it_belongs(invoke):
    result = invoke("--store", "somewhere", "ask", "why?")
    assert result.exit_code == 2
    assert "Give it after, as `ragstack ask --store`" in result.stderr
