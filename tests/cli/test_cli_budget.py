"""`ragstack budget`: what it prints, where its numbers come from, and what it must not load."""

from __future__ import annotations

import csv
import io
import json
import os

import gguf
import numpy as np
import pytest
from model_servers import llama_cpp, ollama, serving, vllm

CONFIG = {
    "model_type": "qwen3",
    "num_hidden_layers": 36,
    "hidden_size": 2_560,
    "intermediate_size": 9_728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "max_position_embeddings": 40_960,
    "torch_dtype": "bfloat16",
}
PLANNED = ("--gpu", "RTX 4090")


@pytest.fixture
def config(folder):
    """A `config.json` in a folder of its own."""
    (folder / "qwen").mkdir()
    path = folder / "qwen" / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def model_file(folder):
    """A small GGUF file."""
    return write_gguf(folder, tensors=True)


def write_gguf(folder, *, tensors):
    path = folder / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_context_length(8_192)
    writer.add_embedding_length(256)
    writer.add_block_count(4)
    writer.add_feed_forward_length(512)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"token {number}" for number in range(320)])
    if tensors:
        writer.add_tensor("token_embd.weight", np.zeros((320, 256), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# -------------------------------------------------------------------------- printed


def test_the_page_has_the_model_its_memory_its_prompt_and_its_time(invoke):
    result = invoke("budget", "llama3.1:8b", *PLANNED)
    assert result.exit_code == 0
    for heading in ("Llama-3.1-8B on llama.cpp", "Memory at ", "Prompt, in tokens", "Time", "Notes"):
        assert heading in result.stdout
    for part in ("weights", "key-value cache", "buffers", "logits", "overhead", "total", "available"):
        assert f"\n  {part} " in result.stdout
    for term in ("limit: window", "limit: memory", "reserve", "charge: system prompt", "left for passages"):
        assert f"\n  {term} " in result.stdout
    assert "tokens/s" in result.stdout
    assert result.stdout.count("; binds") == 1


def test_every_number_says_where_it_comes_from(invoke):
    output = invoke("budget", "llama3.1:8b", "--memory", "8GB", "--latency", "60s").stdout
    for origin in ("published: https://", "computed: ", "given: 8GB", "assumed: ", "measured by copying"):
        assert origin in " ".join(output.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_the_words_stay_within_the_terminal(invoke, columns):
    output = invoke(
        "budget", "llama3.1:8b", *PLANNED, "--latency", "2s", "--sweep", env={"COLUMNS": str(columns)}
    ).stdout
    assert max(len(line) for line in output.splitlines()) <= columns


def test_a_sweep_is_a_table_over_lengths(invoke):
    output = invoke("budget", "llama3.1:8b", "--memory", "8GB", "--sweep").stdout
    table = output.partition("By length of prompt and answer\n")[2].splitlines()
    assert table[0].split()[:4] == ["tokens", "cache", "expected", "at"]
    assert [row.split()[0] for row in table if " 131,072" in row] == ["131,072"]
    assert any(" yes " in row for row in table)
    assert any(" no " in row for row in table)


def test_json_has_a_stable_shape_and_holds_what_the_page_shows(invoke):
    document = json.loads(invoke("budget", "llama3.1:8b", *PLANNED, "--latency", "2s", "--json").stdout)
    assert list(document) == [
        "model", "deployment", "engine_reason", "available", "prompt_tokens", "tokens", "memory", "ledger",
        "speed", "seconds_to_first_token", "tokens_per_second", "time_reason", "sweep", "notes", "warnings",
        "binding",
    ]  # fmt: skip
    assert document["binding"] == "latency"
    assert [line["name"] for line in document["memory"]][-1] == "total"
    assert [term["name"] for term in document["ledger"]["limits"]] == ["window", "memory", "latency"]
    assert document["seconds_to_first_token"] <= 2
    assert document["model"]["layers"][0]["count"] == 32


# ---------------------------------------------------------------------------- inputs


def test_a_configuration_a_folder_a_file_and_a_name_are_all_models(invoke, config, model_file):
    cases = ((config, "transformers"), (config.parent, "transformers"), (model_file, "llama.cpp"))
    for model, engine in cases:
        result = invoke("budget", model, "--memory", "64GB")
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[0].endswith(f" on {engine}")
    assert "model file: the bytes of its tensors" in " ".join(invoke("budget", model_file).stdout.split())


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        (ollama(), "4,096 of llama3.2:latest, allocated (server) - 512 reserve"),
        (llama_cpp(), "8,192 of qwen2.5-7b-instruct-q4_k_m, allocated (server)"),
        (vllm(), "20,000 of Qwen/Qwen3-8B, allocated (server)"),
    ],
    ids=["ollama", "llama.cpp", "vllm"],
)
def test_a_server_s_allocated_window_is_the_limit(invoke, replies, words):
    with serving(replies) as (url, _):
        result = invoke("budget", url)
    assert result.exit_code == 0, result.output
    assert words in " ".join(result.stdout.split())
    assert "the server holds its window already" in " ".join(result.stdout.split())


def test_a_server_is_timed_when_asked(invoke):
    with serving(vllm()) as (url, _):
        output = invoke("budget", url, "--measure").stdout
    assert "two timed prompts: " in " ".join(output.split())


def test_a_model_of_unknown_layers_has_a_window_and_no_memory(invoke, tmp_path):
    data = [{"id": "in-house", "object": "model", "owned_by": "vllm", "max_model_len": 20_000}]
    with serving(vllm(**{"v1/models": {"object": "list", "data": data}})) as (url, _):
        result = invoke("budget", url, "--sweep")
        drawn = invoke("budget", url, "--plot", tmp_path / "b.png")
    assert result.exit_code == 0
    assert "Memory at" not in result.stdout
    assert "left for passages" in result.stdout
    assert drawn.exit_code == 2


# ---------------------------------------------------------------------------- limits


def test_settings_change_what_fits_in_the_direction_that_physics_says(invoke):
    def fits(*options):
        result = invoke("budget", "llama3.1:8b", "--memory", "8GB", "--json", *options)
        return json.loads(result.stdout)["prompt_tokens"]

    plain = fits()
    assert fits("--kv-type", "q8_0") > plain
    assert fits("--parallel", "2") < plain
    assert fits("--attention", "eager") < plain
    assert fits("--memory", "9GB") > plain
    assert fits("--latency", "20s") < plain
    assert fits("--window", "4096") == 4_096 - 512
    assert fits("--reserve", "0") == plain + 1_024


def test_what_leaves_no_room_is_shown_and_fails_with_its_own_reason(invoke):
    memory = invoke("budget", "Llama-3.1-70B", "--memory", "8GB")
    assert memory.exit_code == 1
    assert "Memory at" in memory.stdout
    assert memory.stderr.startswith("Error: no room: ")
    assert "--memory" in memory.stderr
    time = invoke("budget", "Llama-3.1-8B", "--gpu", "t4", "--memory", "80GB", "--latency", "1ms")
    assert time.exit_code == 1
    assert "Error: too slow: " in time.stderr
    assert "--latency" in time.stderr


def test_the_reader_of_the_settings_is_the_model_when_none_is_named(invoke):
    assert invoke("budget", env={"RAGSTACK_READER": "gpt2"}).stdout.startswith("gpt2 on llama.cpp")


def test_settings_come_from_the_environment_too(invoke):
    environment = {"RAGSTACK_MEMORY": "8GB", "RAGSTACK_WINDOW": "2048"}
    output = " ".join(invoke("budget", "llama3.1:8b", env=environment).stdout.split())
    assert "given: 8GB" in output
    assert "2,048 of Llama-3.1-8B, given - 256 reserve" in output


# ---------------------------------------------------------------------------- errors


def test_a_missing_field_is_named(invoke, config):
    config.write_text(json.dumps({name: value for name, value in CONFIG.items() if name != "hidden_size"}))
    result = invoke("budget", config)
    assert result.exit_code == 1
    assert "lacks the field `hidden_size`" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["Llama-3.1-8"], 1, "did you mean `Llama-3.1-8B`"),
        (["http://127.0.0.1:9"], 1, "no answer from http://127.0.0.1:9"),
        (["nothing.gguf"], 1, "there is no file `nothing.gguf`"),
        (["gpt2", "--memory", "much"], 2, "`much` is no amount of memory"),
        (["gpt2", "--latency", "soon"], 2, "`soon` is no length of time"),
        (["gpt2", "--kv-type", "fp8"], 2, "llama.cpp keeps no cache of type fp8"),
        (["gpt2", "--gpu", "rtx 4091"], 2, "use one of `RTX 4090`"),
        (["gpt2", "--engine", "magic"], 2, "magic"),
        (["gpt2", "--parallel", "0"], 2, "--parallel"),
        (["gpt2", "--engine", "vllm", "--attention", "eager"], 2, "vllm has fused attention alone"),
        (["gpt2", "--plot", "budget.txt"], 2, "`budget.txt` is no figure's name"),
        ([], 2, "MODEL"),
    ],
)
def test_a_wrong_input_is_a_clear_error(invoke, arguments, code, words):
    result = invoke("budget", *arguments)
    assert result.exit_code == code
    assert words in result.stderr


def test_a_file_of_a_vocabulary_alone_has_no_memory_to_compute(invoke, folder):
    result = invoke("budget", write_gguf(folder, tensors=False))
    assert result.exit_code == 1
    assert "the number of parameters is unknown" in result.stderr


def test_a_truncated_model_file_is_an_error_and_not_a_crash(invoke, model_file):
    model_file.write_bytes(model_file.read_bytes()[:200])
    result = invoke("budget", model_file)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


# ----------------------------------------------------------------- figure and start-up


@pytest.mark.parametrize(("name", "magic"), [("b.png", b"\x89PNG"), ("b.svg", b"<?xml"), ("b.pdf", b"%PDF")])
def test_a_figure_is_drawn_in_the_format_of_its_name(invoke, folder, name, magic):
    result = invoke("budget", "llama3.1:8b", *PLANNED, "--plot", name, "--json")
    assert result.exit_code == 0, result.output
    assert (folder / name).read_bytes().startswith(magic)
    assert f"drawn: {name}" in result.stderr
    json.loads(result.stdout)


def test_the_figure_names_its_axes_with_their_units(invoke, folder):
    invoke("budget", "llama3.1:8b", *PLANNED, "--plot", "b.svg")
    drawn = (folder / "b.svg").read_text()
    for words in ("memory (GiB)", "time to first token", "context: prompt and answer (tokens)", "available"):
        assert words in drawn


@pytest.mark.parametrize("model", ["config", "model_file", "llama3.1:8b"])
def test_nothing_heavy_is_loaded(spawn, request, model):
    target = model if ":" in model else request.getfixturevalue(model)
    heavy = ("torch", "transformers", "numpy", "faiss", "sqlalchemy", "matplotlib", "tokenizers")
    code = (
        "import sys\n"
        "from ragstack.cli import cli\n"
        f"cli.main(['budget', {str(target)!r}, '--memory', '64GB', '--sweep'], standalone_mode=False)\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    result = spawn(code=code, env=os.environ | {"RAGSTACK_DEBUG": "1"})
    assert "left for passages" in result.stdout
    assert not set(heavy) & set(result.stderr.split())


def test_the_table_of_the_sweep_is_what_json_says(invoke):
    arguments = ("budget", "llama3.1:8b", *PLANNED)
    rows = json.loads(invoke(*arguments, "--json").stdout)["sweep"]
    table = invoke(*arguments, "--sweep").stdout.partition("By length of prompt and answer\n")[2]
    shown = [line.split()[0] for line in table.split("\n\n")[0].splitlines()[1:]]
    assert shown == [f"{row['tokens']:,}" for row in rows]
    assert list(csv.reader(io.StringIO(",".join(rows[0])))) == [
        ["tokens", "cache", "expected", "upper", "fits", "seconds_to_first_token", "tokens_per_second"]
    ]
