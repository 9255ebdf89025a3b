"""Names, files and folders: which builder answers, and what a user is told when none does."""

from __future__ import annotations

import json
import subprocess
import sys

import gguf
import pytest

from ragstack.context.architectures.lookup import describe_model
from ragstack.context.architectures.quantization import STORAGE_TYPES, storage_type, weight_bytes
from ragstack.context.architectures.registry import KNOWN_MODELS, known_model
from ragstack.errors import ArchitectureError, UsageError

# Totals that the Hub shows for the safetensors of each repository (tied embeddings once, vision left out).
PUBLISHED_PARAMETERS = {
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.1-70B": 70_553_706_496,
    "Llama-3.1-405B": 405_853_388_800,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "Llama-2-7B": 6_738_415_616,
    "Llama-2-13B": 13_015_864_320,
    "TinyLlama-1.1B": 1_100_048_384,
    "SmolLM2-135M": 134_515_008,
    "SmolLM2-360M": 361_821_120,
    "SmolLM2-1.7B": 1_711_376_384,
    "Mistral-7B-v0.1": 7_241_732_096,
    "Mistral-7B-v0.3": 7_248_023_552,
    "Mistral-Nemo-12B": 12_247_782_400,
    "Mistral-Small-24B": 23_572_403_200,
    "Mixtral-8x7B": 46_702_792_704,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "Qwen2.5-3B": 3_085_938_688,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-14B": 14_770_033_664,
    "Qwen2.5-32B": 32_763_876_352,
    "Qwen2.5-72B": 72_706_203_648,
    "Qwen3-0.6B": 596_049_920,
    "Qwen3-1.7B": 1_720_574_976,
    "Qwen3-4B": 4_022_468_096,
    "Qwen3-8B": 8_190_735_360,
    "Qwen3-14B": 14_768_307_200,
    "Qwen3-32B": 32_762_123_264,
    "Qwen3-30B-A3B": 30_532_122_624,
    "Qwen3-235B-A22B": 235_093_634_560,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-270m": 268_098_176,
    "gemma-3-1b": 999_885_952,
    # 12,187,325,040 with the vision tower (416,866,032) and its projector (4,424,832)
    "gemma-3-12b": 12_187_325_040 - 416_866_032 - 4_424_832,
    "Phi-3-mini-4k": 3_821_079_552,
    "phi-4": 14_659_507_200,
    # 671,026,419,200 with 256 routing corrections in each of 58 layers, which are no parameters
    "DeepSeek-V3": 671_026_419_200 - 58 * 256,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "gpt2": 124_439_808,
}


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_a_registered_model_has_the_published_number_of_parameters(name):
    assert known_model(name).parameters == PUBLISHED_PARAMETERS[name]


@pytest.mark.parametrize("entry", KNOWN_MODELS, ids=lambda entry: entry.name)
def test_every_registered_model_has_layers_a_window_and_a_source(entry):
    model = describe_model(entry.name)
    assert model.layers
    assert model.window >= 1_024
    assert model.source == f"https://huggingface.co/{entry.repository}/blob/main/config.json"
    assert known_model(entry.repository).layers == model.layers


@pytest.mark.parametrize(
    ("name", "model", "weight_type"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama-3.1-8B", "bf16"),
        ("llama3.1:8b", "Llama-3.1-8B", "q4_k_m"),
        ("llama3.1:8b-instruct-q8_0", "Llama-3.1-8B", "q8_0"),
        ("Qwen/Qwen3-8B", "Qwen3-8B", "bf16"),
        ("qwen2.5-7b-instruct-q4_k_m", "Qwen2.5-7B", "q4_k_m"),
        ("gemma3:12b", "gemma-3-12b", "q4_k_m"),
        ("GEMMA 3 12B", "gemma-3-12b", "bf16"),
        ("gpt-oss:20b", "gpt-oss-20b", "mxfp4"),
        ("DeepSeek-R1", "DeepSeek-V3", "fp8"),
    ],
)
def test_names_are_found_in_the_words_of_the_hub_and_of_ollama(name, model, weight_type):
    found = known_model(name)
    assert (found.name, found.weight_type) == (model, weight_type)


@pytest.mark.parametrize(
    ("name", "gib"), [("llama3.1:8b", 4.58), ("llama3.1:8b-q8_0", 7.95), ("llama3.1:8b-q6_k", 6.14)]
)
def test_quantised_weights_have_the_size_that_llama_cpp_lists(name, gib):
    assert round(known_model(name).stored_bytes / 2**30, 2) == pytest.approx(gib, abs=0.006)


def test_the_experts_of_gpt_oss_are_quantised_and_the_rest_is_not():
    assert known_model("gpt-oss-20b").stored_bytes / 1e9 == pytest.approx(13.76, abs=0.03)


def test_an_unknown_name_is_an_error_with_the_nearest_names():
    with pytest.raises(ArchitectureError, match="neither a file nor a model") as caught:
        describe_model("Qwen3-7B")
    assert "Qwen3-" in caught.value.hint


@pytest.mark.parametrize("name", ["model.gguf", "folder/config.json"])
def test_a_file_that_is_not_there_is_said_to_be_missing(name):
    with pytest.raises(ArchitectureError, match="there is no file"):
        describe_model(name)


CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


def write_gguf(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(5)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_vocab_size(100)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_files_and_folders_are_told_apart_by_what_they_hold(tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "cpp").mkdir()
    write_gguf(tmp_path / "cpp/model.gguf")
    (tmp_path / "cpp/mmproj-model.gguf").write_bytes(b"a projector")
    (tmp_path / "cpp/model.gguf").rename(tmp_path / "cpp/without-suffix")
    assert len(describe_model(tmp_path / "cpp/without-suffix").layers) == 5
    (tmp_path / "cpp/without-suffix").rename(tmp_path / "cpp/model.gguf")
    assert len(describe_model(tmp_path / "cpp").layers) == 5
    assert len(describe_model(tmp_path / "hub").layers) == 2
    assert describe_model(str(tmp_path / "hub/config.json")).name == "hub"


def test_an_empty_folder_and_a_foreign_file_are_errors(tmp_path):
    with pytest.raises(ArchitectureError, match="holds neither"):
        describe_model(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing of the sort")
    with pytest.raises(ArchitectureError, match="neither GGUF nor JSON"):
        describe_model(tmp_path / "notes.txt")


def test_one_of_several_gguf_files_has_to_be_named(tmp_path):
    write_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf")
    with pytest.raises(ArchitectureError, match="2 GGUF files"):
        describe_model(tmp_path)


def test_a_downloaded_repository_is_found_in_the_cache(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--someone--in-house/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert describe_model("someone/in-house").name == "someone/in-house"


def test_storage_types_are_known_by_the_words_of_every_engine():
    assert {storage_type(name).name for name in ("BF16", "bfloat16", "torch.bfloat16")} == {"bf16"}
    assert storage_type("q8_0").bytes_per_element * 32 == 34
    assert all(kind.bytes_for(kind.block) == kind.block_bytes for kind in STORAGE_TYPES.values())
    with pytest.raises(UsageError, match="no storage type"):
        storage_type("q9_9")
    with pytest.raises(UsageError):
        weight_bytes(100, "nonsense")


def test_describing_a_model_loads_no_heavy_library():
    code = (
        "import sys; from ragstack.context.architectures.lookup import describe_model;"
        "from ragstack.context.solver import largest_within_memory;"
        "from ragstack.context.deployment import Deployment;"
        "largest_within_memory(describe_model('Llama-3.1-8B'), Deployment(), 40 * 2**30);"
        "heavy = {'torch', 'transformers', 'numpy', 'faiss', 'matplotlib', 'sqlalchemy', 'gguf'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
