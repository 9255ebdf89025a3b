"""The command line of `scripts/benchmark`: one subcommand a module, errors as one line with a hint.

A subcommand is a module with `add_arguments(parser)` and `run(arguments)`, named in SUBCOMMANDS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import complexity, embed, ingest, loading, peers, query, retrieval, scale, startup, strategies
from ragstack.cli import console
from ragstack.errors import RagstackError

SUBCOMMANDS = {
    "complexity": complexity,
    "embed": embed,
    "ingest": ingest,
    "loading": loading,
    "peers": peers,
    "query": query,
    "retrieval": retrieval,
    "scale": scale,
    "startup": startup,
    "strategies": strategies,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark and end the process with its exit code."""
    console.forgive_encoding()
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description="Measure ragstack.")
    parsers = parser.add_subparsers(required=True, metavar="BENCHMARK")
    for name, module in SUBCOMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        subparser = parsers.add_parser(name, help=summary, description=summary)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except RagstackError as error:
        console.show_error(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.show_error("interrupted", None)
        sys.exit(130)
