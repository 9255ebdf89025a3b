"""`ragstack budget`: how much context a model can be given, and what decides it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragstack.cli import console
from ragstack.cli.ledger import term_rows
from ragstack.cli.options import examples, json_option, read_settings, setting_options, wants_json
from ragstack.cli.quantities import counted, size
from ragstack.cli.tables import columns, wrapped_columns
from ragstack.config import Origin, Settings
from ragstack.errors import UsageError

if TYPE_CHECKING:
    from ragstack.context.budget import Budget, LayerGroup

_REGIMES = ("fused", "fused-mask", "eager-chunked", "eager")
_ENGINES = ("llama.cpp", "ollama", "vllm", "transformers")
_PARTS = {"cache": "key-value cache", "state": "recurrent state"}


@click.command(
    epilog=examples(
        "ragstack budget llama3.1:8b --memory 8GB",
        "ragstack budget ~/models/qwen3-4b-q4_k_m.gguf --kv-type q8_0 --sweep",
        "ragstack budget ~/models/Qwen3-4B/config.json --attention eager",
        "ragstack budget http://localhost:11434#llama3.2 --latency 5s --measure",
        'ragstack budget Qwen3-14B-q4_k_m --gpu "RTX 4090" --plot budget.png',
    )
)
@click.argument("model", required=False)
@setting_options("memory", "latency", "window", "reserve", "budget")
@click.option(
    "--kv-type",
    metavar="TYPE",
    help="Type of the key-value cache: f32, f16, bf16, q8_0 ... q4_0, fp8, or two as in `q8_0/f16`.",
)
@click.option(
    "--attention",
    type=click.Choice(_REGIMES),
    default="fused",
    show_default=True,
    help="How attention is computed.",
)
@click.option(
    "--parallel", type=click.IntRange(min=1), metavar="N", help="Sequences that are served at a time."
)
@click.option("--engine", type=click.Choice(_ENGINES), help="What runs the model.")
@click.option("--gpu", metavar="NAME", help="Plan for this GPU, by its published numbers.")
@click.option("--effective", is_flag=True, help="Limit the prompt to the published effective length.")
@click.option(
    "--measure",
    is_flag=True,
    help="Time the server with two prompts, or this processor by two short computations.",
)
@click.option("--sweep", is_flag=True, help="Add a table over lengths.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw memory and time over lengths.",
)
@json_option
@setting_options("store")
def budget(
    model: str | None,
    kv_type: str | None,
    attention: str,
    parallel: int | None,
    engine: str | None,
    gpu: str | None,
    effective: bool,
    measure: bool,
    sweep: bool,
    plot: Path | None,
) -> None:
    """Print how much context fits MODEL, and why.

    MODEL is a name (`llama3.1:8b`), a `config.json`, a GGUF file, a folder with one of them, or a server's
    address, with `#NAME` where it serves several; without one it is the `reader` of the settings. Weights are
    never loaded, and nothing is downloaded. A server's API key is taken from `RAGSTACK_API_KEY`, for OpenAI's
    own server else from `OPENAI_API_KEY`.

    Memory is planned by the upper estimate. Exits with 1 when nothing is left for passages.
    """
    from ragstack.answering.prompt import LanguageModelFrame
    from ragstack.context.budget import SAMPLE_QUESTION, model_budget
    from ragstack.context.deployment import Regime
    from ragstack.context.ledger import checked
    from ragstack.context.reader_plans import plan_reader

    settings = read_settings()
    plan = plan_reader(
        _chosen(model, settings),
        window=_given_window(settings),
        memory=settings.memory.value,
        latency=settings.latency.value,
        engine=engine,
        regime=Regime(attention),
        cache_type=kv_type,
        parallel=parallel,
        gpu=gpu,
        measure=measure,
        effective=effective,
    )
    found = model_budget(
        plan,
        LanguageModelFrame(SAMPLE_QUESTION, "0123abcd"),
        reserve=settings.reserve.value,
        budget=settings.budget.value,
    )
    if plot is not None:
        _draw(found, plot)
    for warning in found.warnings:
        console.warn(warning)
    if wants_json():
        console.write_json(found)
    else:
        console.write("\n".join(_page(found, sweep=sweep)))
    checked(found.ledger)


def _chosen(model: str | None, settings: Settings) -> str:
    chosen = model or settings.reader.value
    if chosen is None:
        raise UsageError("no MODEL is named", hint="name one, as in `ragstack budget llama3.1:8b`")
    return chosen


def _given_window(settings: Settings) -> int | None:
    return None if settings.window.origin is Origin.DEFAULT else settings.window.value


def _draw(found: Budget, path: Path) -> None:
    from ragstack.inspection.figures.budget_lengths import budget_lengths_figure
    from ragstack.inspection.figures.sheet import write_figure
    from ragstack.inspection.figures.theme import LIGHT

    write_figure(budget_lengths_figure(found), path, LIGHT)
    console.note(f"drawn: {path}")


# ------------------------------------------------------------------------------ page


def _page(found: Budget, *, sweep: bool) -> list[str]:
    lines = [
        console.heading(console.safe_line(f"{found.model.name} on {found.deployment.engine}")),
        *wrapped_columns(_model_rows(found)),
        "",
        *_memory_part(found),
        console.heading("Prompt, in tokens of the model"),
        *wrapped_columns(term_rows(found.ledger), right=(1,)),
        "",
        console.heading("Time"),
        *wrapped_columns(_time_rows(found), right=(1,)),
    ]
    if sweep and found.sweep:
        lines += ["", *_sweep_table(found)]
    if found.notes:
        lines += ["", console.heading("Notes"), *wrapped_columns([("-", note) for note in found.notes])]
    return lines


def _run_as(found: Budget) -> str:
    from ragstack.context.deployment import regime_of

    deployment = found.deployment
    kinds = dict.fromkeys((deployment.key_type, deployment.value_type))
    parts = [
        f"{regime_of(deployment)} attention",
        f"{'/'.join(kinds)} cache",
        counted(deployment.parallel, "sequence"),
        f"on the {deployment.device.upper()}",
    ]
    return ", ".join(parts)


def _model_rows(found: Budget) -> list[tuple[str, str]]:
    from ragstack.context.budget import parameter_words

    model = found.model
    rows = [
        ("described by", f"{model.origin}: {model.source}"),
        ("engine", f"{found.deployment.engine}, {found.engine_reason}"),
        ("run with", _run_as(found)),
    ]
    if model.layers:
        rows.append(("layers", "; ".join(_layer_words(group) for group in model.layers)))
    if model.parameters:
        active = f", {parameter_words(model.active_parameters)} of them multiply a token"
        rows.append(("parameters", parameter_words(model.parameters) + (active if model.layers else "")))
    rows.append(("window", f"{model.window:,} tokens, {model.window_reason}"))
    return rows


def _layer_words(group: LayerGroup) -> str:
    layer = group.layer
    if not layer.has_attention:
        return f"{group.count} recurrent"
    heads = f"{layer.kv_heads} key-value heads of {layer.key_dimension}"
    if layer.latent_dimension:
        heads = f"a latent of {layer.latent_dimension}"
    window = f" over {layer.window:,} tokens" if layer.window else ""
    shared = "" if layer.owns_cache else ", sharing an earlier cache"
    return f"{group.count} {layer.kind}{window}, {heads}{shared}"


def _memory_part(found: Budget) -> list[str]:
    """The breakdown; nothing for a model whose layers are not known."""
    if not found.memory:
        return []
    rows = [("", "expected", "at most", "")]
    rows += [
        (_PARTS.get(line.name, line.name), size(line.expected), size(line.upper), line.reason)
        for line in found.memory
    ]
    if found.available is not None:
        rows.append(("available", "", size(found.available.bytes), found.available.reason))
    title = console.heading(f"Memory at {found.tokens:,} tokens, prompt and answer")
    return [title, *wrapped_columns(rows, right=(1, 2)), ""]


def _time_rows(found: Budget) -> list[tuple[str, str, str]]:
    first, rate = found.seconds_to_first_token, found.tokens_per_second
    rows = [("first token", _seconds(first), f"of a prompt of {found.prompt_tokens:,} tokens")]
    if rate is not None:
        rows.append(("then", f"{rate:,.1f} tokens/s", f"after {found.tokens:,} tokens"))
    return [*rows, ("speed", "", found.time_reason)]


def _sweep_table(found: Budget) -> list[str]:
    rows = [("tokens", "cache", "expected", "at most", "fits", "first token", "tokens/s")]
    rows += [
        (
            f"{row.tokens:,}",
            size(row.cache),
            size(row.expected),
            size(row.upper),
            "-" if row.fits is None else "yes" if row.fits else "no",
            _seconds(row.seconds_to_first_token),
            "-" if row.tokens_per_second is None else f"{row.tokens_per_second:,.1f}",
        )
        for row in found.sweep
    ]
    return [console.heading("By length of prompt and answer"), *columns(rows, right=range(7))]


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:,.0f} ms"
    if seconds < 600:
        return f"{seconds:,.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3600:,.0f} h"
