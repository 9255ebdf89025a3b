"""`ragstack path`: which store is in use, every setting, and why each is what it is. Opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ragstack.cli import console, tables
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.config import Setting, Settings


@click.command(
    epilog=examples(
        "ragstack path",
        "ragstack path | head -1",
        "RAGSTACK_WINDOW=8192 ragstack path --json",
    )
)
@setting_options("store")
@json_option
def path() -> None:
    """Print the store's directory, the settings, and why.

    The first line is the directory alone. Settings come from flags, the environment, `ragstack.toml` beside
    the project's `.ragstack/`, the user's own `ragstack.toml`, and defaults, in this order.
    """
    show_settings(read_settings())


def show_settings(settings: Settings) -> None:
    """Print the store's directory and the settings, as a page or as JSON."""
    if wants_json():
        console.write_json(_document(settings))
    else:
        console.write(_page(settings))


def _document(settings: Settings) -> dict[str, Any]:
    return {
        "store": {
            "path": settings.store.value,
            "reason": settings.store.reason,
            "exists": settings.store_exists,
        },
        "settings": dict(settings),
        "files": settings.files,
        "warnings": settings.warnings,
    }


def _page(settings: Settings) -> str:
    lines = [
        console.safe_line(str(settings.store.value)),
        f"  {console.safe_line(settings.store.reason)}",
        "  it keeps the model, chunk size and overlap it was made with: `ragstack inspect` shows them"
        if settings.store_exists
        else "  no store there yet: `ragstack ingest PATH` makes it",
        "",
        console.heading("Settings"),
        *tables.columns(
            [(name, _shown(setting), setting.reason) for name, setting in settings if name != "store"]
        ),
        "",
        console.heading("Files"),
        *tables.columns([(str(file.path), "read" if file.found else "not there") for file in settings.files]),
    ]
    return "\n".join(lines)


def _shown(setting: Setting[str | int | bool | Path | None]) -> str:
    if setting.value is None:
        return "-"
    if isinstance(setting.value, bool):
        return "yes" if setting.value else "no"
    return str(setting.value)
