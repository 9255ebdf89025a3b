"""The options that commands share, and the settings that come of them.

An option of a setting (`--store`, `--window`) takes its type, help, default and environment variable from
`ragstack.config`. What is given is kept for the whole command line: `ragstack inspect --json documents` and
`ragstack inspect documents --json` mean the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ragstack import config
from ragstack.cli import console
from ragstack.cli.commands import FLAGS

_JSON = "ragstack.json"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """Command lines for the end of a help text, shown line by line as they are."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


class SettingOption(click.Option):
    """The option of one setting; its help names the environment variable that does the same.

    Only click's parsing is used: `ragstack.config` decides between flag, environment, files and default, and
    must be able to tell them apart.
    """

    def get_help_extra(self, ctx: click.Context) -> Any:
        """The notes in brackets after the help text."""
        extra = super().get_help_extra(ctx)
        name = str(self.name)
        extra["envvars"] = (config.environment_name(name),)
        default = config.SPECIFICATIONS[name].default_text
        if default is not None:
            extra["default"] = default
        return extra


def setting_options(*names: str) -> Callable[[Decorated], Decorated]:
    """The options of these settings, in this order; the command reads them with `read_settings`."""

    def decorate(command: Decorated) -> Decorated:
        for name in reversed(names):
            command = _setting_option(name)(command)
        return command

    return decorate


def _setting_option(name: str) -> Callable[[Decorated], Decorated]:
    specification = config.SPECIFICATIONS[name]
    flags = ["-k"] if name == "top_k" else []
    common: dict[str, Any] = {
        "cls": SettingOption,
        "help": specification.purpose,
        "expose_value": False,
        "callback": _remember_setting,
    }
    if specification.kind is bool:
        common |= {"is_flag": True}
    elif specification.kind is int:
        common |= {"type": click.IntRange(min=specification.minimum), "metavar": "N"}
    elif specification.kind is Path:
        common |= {"type": click.Path(file_okay=False, path_type=Path), "metavar": "DIR"}
    return click.option(*flags, config.flag_name(name), name, **common)


def _remember_setting(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    name = str(parameter.name)
    if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        ctx.meta.setdefault(FLAGS, {})[name] = value


def json_option(command: Decorated) -> Decorated:
    """`--json`, for commands that read; the command asks `wants_json`."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        expose_value=False,
        callback=_remember_json,
        help="Write one JSON document to stdout.",
    )(command)


def _remember_json(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_JSON] = True


def wants_json() -> bool:
    """Whether `--json` was given, to the command or to its group."""
    return bool(click.get_current_context().meta.get(_JSON))


def yes_option(command: Decorated) -> Decorated:
    """`--yes`, given to the command as `yes`, for what cannot be undone; see `console.confirm`."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def read_settings() -> config.Settings:
    """The settings of this command line; what its files got wrong is said on stderr."""
    settings = config.load_settings(click.get_current_context().meta.get(FLAGS))
    for warning in settings.warnings:
        console.warn(warning)
    return settings
