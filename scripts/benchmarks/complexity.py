"""Peak memory of real forward passes beside what the complexity model expects and at most allows."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks.output import ProgressLine, print_machine, write_json_file
from ragstack.cli import console
from ragstack.cli.tables import columns
from ragstack.context.deployment import AttentionKernel, Device
from ragstack.errors import UsageError
from ragstack.evaluation.machine import PACKAGES, describe_machine
from ragstack.inspection.forward_passes import (
    CHUNKS,
    GROWTH_TOLERANCE,
    KERNELS,
    LENGTHS,
    SMALLEST_GROWTH,
    TINY_MODELS,
    TYPES,
    PassRow,
    measure_passes,
)

HEADER = (
    "model", "attention", "type", "chunk", "tokens",
    "measured", "expected", "upper", "peak off", "growth", "growth off", "",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for; without anything, the whole table."""
    parser.add_argument("--models", type=_names, default=tuple(TINY_MODELS), metavar="NAME,NAME,...")
    parser.add_argument("--lengths", type=_lengths, default=LENGTHS, metavar="N,N,...", help="in tokens")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row as JSON")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in TINY_MODELS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"must be of {', '.join(TINY_MODELS)}, not {', '.join(unknown)}")
    return names


def _lengths(text: str) -> tuple[int, ...]:
    lengths = tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    if not lengths or lengths[0] < 1:
        raise argparse.ArgumentTypeError("must be whole numbers of at least 1")
    return lengths


def run(arguments: argparse.Namespace) -> None:
    """Measure every pass, print the table; ends with exit code 1 when a row does not hold."""
    torch = _torch()
    warnings.filterwarnings("ignore")  # of transformers about tiny models, of torch about profiling
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print_machine(describe_machine((*PACKAGES, "transformers")))
    console.write(f"torch uses {torch.get_num_threads()} threads; sizes are MiB beyond the weights")
    rows = {Device.CPU: _measured(arguments, Device.CPU)}
    if torch.cuda.is_available():
        console.write(f"\nOn {torch.cuda.get_device_name()}:")
        rows[Device.GPU] = _measured(arguments, Device.GPU)
    else:
        console.write("no CUDA device is at hand: no rows for a GPU")
    if arguments.json:
        _write_json(arguments.json, rows)
    if not all(row.holds for measured in rows.values() for row in measured):
        sys.exit(1)


def _torch():
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler announces every start and stop
    try:
        import torch
        import transformers  # noqa: F401 - looked for here, so that its absence is one line
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed", hint="run `scripts/environment dev`") from error
    return torch


def _measured(arguments: argparse.Namespace, device: Device) -> list[PassRow]:
    models = {name: TINY_MODELS[name] for name in arguments.models}
    total = len(models) * len(KERNELS) * len(TYPES) * len(CHUNKS) * len(arguments.lengths)
    progress = ProgressLine("measured")
    rows = []
    for row in measure_passes(models, lengths=arguments.lengths, device=device):
        rows.append(row)
        progress(len(rows), total)
    for line in columns([HEADER, *map(_cells, rows)], right=(3, 4, 5, 6, 7, 8, 9, 10)):
        console.write(line)
    console.write(_verdict(rows))
    return rows


def _cells(row: PassRow) -> tuple[str, ...]:
    off = row.growth_error
    return (
        row.model,
        "eager" if row.attention is AttentionKernel.EAGER else "sdpa",
        row.activation_type,
        "whole" if row.chunk is None else str(row.chunk),
        f"{row.tokens:,}",
        *(f"{size / 2**20:,.2f}" for size in (row.measured, row.expected, row.upper)),
        f"{row.expected - row.measured:+,} B",
        f"{row.measured_growth / 2**20:,.2f}",
        "" if off is None else f"{100 * off:+.3f} %",
        "" if row.holds else "does not hold",
    )


def _verdict(rows: Sequence[PassRow]) -> str:
    errors = [abs(row.growth_error) for row in rows if row.growth_error is not None]
    worst = f"{100 * max(errors):.3f} %" if errors else "none to tell"
    bounded = sum(row.is_bounded for row in rows)
    return (
        f"growth of the peak, {len(errors)} rows of at least {SMALLEST_GROWTH / 1e6:.0f} MB:"
        f" worst {worst} (tolerance {100 * GROWTH_TOLERANCE:.0f} %);"
        f" peak not above `upper`: {bounded} of {len(rows)} rows;"
        f" largest difference of a whole peak: {max(abs(row.expected - row.measured) for row in rows):,} B"
    )


def _write_json(path: Path, rows: dict[Device, list[PassRow]]) -> None:
    write_json_file(
        path,
        {
            "benchmark": "complexity",
            "machine": describe_machine((*PACKAGES, "transformers")),
            "rows": {
                str(device): [
                    {
                        "model": row.model,
                        "attention": row.attention,
                        "type": row.activation_type,
                        "chunk": row.chunk,
                        "tokens": row.tokens,
                        "measured": row.measured,
                        "expected": row.expected,
                        "upper": row.upper,
                        "measured_growth": row.measured_growth,
                        "expected_growth": row.expected_growth,
                        "growth_error": row.growth_error,
                        "holds": row.holds,
                    }
                    for row in measured
                ]
                for device, measured in rows.items()
            },
        },
    )
