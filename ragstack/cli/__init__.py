"""The command line: `ragstack`. Each command is a thin call on the library, in a module of its own.

Commands are imported when they are asked for, and import the stages they need when they run, so that
`ragstack --help` is quick and works without any model.
"""

from __future__ import annotations

from ragstack.cli.root import cli, main

__all__ = ["cli", "main"]
