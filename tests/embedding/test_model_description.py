"""A model is described from its configuration files alone, and what is not supported is refused."""

import json

import pytest
from tiny_models import change_json

from ragstack.embedding.description import is_complete, read_description
from ragstack.errors import EmbeddingError, ModelDamagedError, ModelNotFoundError

PREFIX = "sentence_transformers.models"


def change_modules(folder, *modules):
    """Write `modules.json` of (type, path) pairs."""
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": kind} for i, (kind, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))


def test_the_default_model_is_described(minilm_folder):
    description = read_description(minilm_folder)

    assert description.dimension == 384
    assert description.max_tokens == 256
    assert description.pooling == "mean"
    assert [module.kind for module in description.modules] == ["Transformer", "Pooling", "Normalize"]
    assert description.weight_files == ("model.safetensors",)
    assert (description.query_prompt, description.document_prompt) == ("", "")
    assert is_complete(minilm_folder)


def test_a_model_as_today_s_library_saves_it_is_described(tiny_folder):
    description = read_description(tiny_folder)

    assert description.dimension == 16
    assert description.max_tokens == 64
    assert description.pooling == "mean"
    assert (description.query_prompt, description.document_prompt) == ("query: ", "passage: ")


@pytest.mark.parametrize(
    ("limits", "tokenizer_limit", "expected"),
    [
        ({"max_seq_length": 32}, 64, 32),
        ({"max_seq_length": 32, "processor_kwargs": {"model_max_length": 20}}, 64, 20),
        ({"max_seq_length": 900}, 64, 64),
        ({}, 48, 48),
        ({}, 1_000_000_000_000_000_019_884_624_838_656, 64),
        ({"max_seq_length": None}, 1e30, 64),
    ],
)
def test_the_longest_input_is_what_the_author_set_within_the_positions(
    tiny_folder, copy_of, limits, tokenizer_limit, expected
):
    folder = copy_of(
        tiny_folder, sentence_bert_config=limits, tokenizer_config={"model_max_length": tokenizer_limit}
    )

    assert read_description(folder).max_tokens == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "t5", "max_position_embeddings": None}, 512),
        ({"model_type": "xlnet", "max_position_embeddings": -1}, 512),
    ],
)
def test_families_that_offset_their_positions_read_fewer_tokens(tiny_folder, copy_of, config, expected):
    folder = copy_of(tiny_folder, config=config, tokenizer_config={"model_max_length": 1e30})

    assert read_description(folder).max_tokens == expected


@pytest.mark.parametrize(
    ("prompts", "default", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, None, ("q: ", "d: ")),
        ({"query": "q: ", "passage": "p: "}, None, ("q: ", "p: ")),
        ({"corpus": "c: "}, None, ("", "c: ")),
        ({"query": "q: ", "sts": "s: "}, "sts", ("q: ", "s: ")),
        ({"query": "q: ", "document": ""}, "query", ("q: ", "")),
        ({"query": None}, None, ("", "")),
        (None, None, ("", "")),
    ],
)
def test_prompts_are_chosen_by_name_then_by_default(tiny_folder, copy_of, prompts, default, expected):
    change = {"prompts": prompts, "default_prompt_name": default}
    description = read_description(copy_of(tiny_folder, config_sentence_transformers=change))

    assert (description.query_prompt, description.document_prompt) == expected


def test_old_and_new_pooling_settings_mean_the_same(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    new = read_description(folder)
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps(
            {
                "word_embedding_dimension": 16,
                "pooling_mode_mean_tokens": True,
                "pooling_mode_cls_token": False,
            }
        )
    )
    old = read_description(folder)

    assert old.pooling == new.pooling == "mean"
    assert old.dimension == new.dimension == 16
    assert old.identity() == new.identity()


def test_two_poolings_make_vectors_of_twice_the_length(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    change_json(folder / "1_Pooling" / "config.json", {"pooling_mode": ["cls", "mean"]})

    assert read_description(folder).dimension == 32
    assert read_description(folder).pooling == "cls+mean"


def test_a_dense_layer_sets_the_dimension_and_adds_a_weight_file(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    dense = {"in_features": 16, "out_features": 5, "activation_function": "torch.nn.modules.linear.Identity"}
    (folder / "2_Dense").mkdir()
    change_json(folder / "2_Dense" / "config.json", dense)
    change_modules(
        folder,
        (f"{PREFIX}.Transformer", ""),
        (f"{PREFIX}.Pooling", "1_Pooling"),
        (f"{PREFIX}.Dense", "2_Dense"),
    )

    description = read_description(folder)
    assert description.dimension == 5
    assert description.weight_files == ("2_Dense/model.safetensors", "model.safetensors")
    assert not is_complete(folder)


def test_truncated_dimensions_are_those_the_author_set(tiny_folder, copy_of):
    description = read_description(copy_of(tiny_folder, config_sentence_transformers={"truncate_dim": 4}))

    assert (description.dimension, description.output_dimension) == (4, 16)


def test_sharded_weights_are_taken_from_their_index(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    (folder / "model.safetensors").rename(folder / "model-00002-of-00002.safetensors")
    shards = {"a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}
    change_json(folder / "model.safetensors.index.json", {"weight_map": shards})

    assert read_description(folder).weight_files == tuple(sorted(shards.values()))
    assert not is_complete(folder)


@pytest.mark.parametrize(
    "kind",
    [
        "custom_st.CustomTransformer",
        "modeling.Pooling",
        "sentence_transformers_evil.models.Pooling",
        "sentence_transformers.models.Router",
        "sentence_transformers.models.WordEmbeddings",
        "os.system",
        "",
    ],
)
def test_a_module_that_is_not_known_is_refused_before_anything_runs(tiny_folder, copy_of, kind):
    folder = copy_of(tiny_folder)
    change_modules(folder, (f"{PREFIX}.Transformer", ""), (kind, "1_Pooling"))

    with pytest.raises(EmbeddingError, match="is not supported") as caught:
        read_description(folder)
    assert "never run" in caught.value.hint


@pytest.mark.parametrize("path", ["../other", "/etc", "1_Pooling/../..", "C:\\models", "..\\other"])
def test_a_module_outside_the_folder_is_refused(tiny_folder, copy_of, path):
    folder = copy_of(tiny_folder)
    change_modules(folder, (f"{PREFIX}.Transformer", ""), (f"{PREFIX}.Pooling", path))

    with pytest.raises(EmbeddingError, match="outside its folder"):
        read_description(folder)


def test_weights_outside_the_folder_are_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    (folder / "model.safetensors").unlink()
    change_json(folder / "model.safetensors.index.json", {"weight_map": {"a": "../model.safetensors"}})

    with pytest.raises(EmbeddingError, match="outside its folder"):
        _ = read_description(folder).weight_files


def test_an_activation_function_that_is_not_torch_s_is_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    (folder / "2_Dense").mkdir()
    change_json(folder / "2_Dense" / "config.json", {"out_features": 5, "activation_function": "os.system"})
    change_modules(folder, (f"{PREFIX}.Transformer", ""), (f"{PREFIX}.Dense", "2_Dense"))

    with pytest.raises(EmbeddingError, match=r"activation function `os\.system`"):
        read_description(folder)


def test_a_model_that_begins_with_another_module_is_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    change_modules(folder, (f"{PREFIX}.Pooling", "1_Pooling"))

    with pytest.raises(EmbeddingError, match="does not begin with a transformer"):
        read_description(folder)


def test_a_sparse_model_is_refused_by_its_kind(tiny_folder, copy_of):
    folder = copy_of(tiny_folder, config_sentence_transformers={"model_type": "SparseEncoder"})

    with pytest.raises(EmbeddingError, match="is a SparseEncoder"):
        read_description(folder)


def test_an_adapter_is_refused_with_the_way_out(tiny_folder, copy_of):
    folder = copy_of(tiny_folder, adapter_config={"base_model_name_or_path": "someone/else"})

    with pytest.raises(EmbeddingError, match="is an adapter") as caught:
        read_description(folder)
    assert "merge_and_unload" in caught.value.hint


def test_a_folder_without_a_model_is_said_to_be_one(tmp_path):
    with pytest.raises(ModelNotFoundError, match="holds no sentence-transformers model"):
        read_description(tmp_path)
    assert not is_complete(tmp_path)


@pytest.mark.parametrize(
    "file", ["modules.json", "config.json", "1_Pooling/config.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("content", [b"{", b"3", b"\xff\xfe", b"[" * 100_000])
def test_a_garbled_file_is_named(tiny_folder, copy_of, file, content):
    folder = copy_of(tiny_folder)
    (folder / file).write_bytes(content)

    with pytest.raises(ModelDamagedError) as caught:
        read_description(folder)
    assert str(folder / file) in caught.value.message


@pytest.mark.parametrize("file", ["config.json", "1_Pooling/config.json"])
def test_a_missing_file_is_named(tiny_folder, copy_of, file):
    folder = copy_of(tiny_folder)
    (folder / file).unlink()

    with pytest.raises(ModelDamagedError, match="is missing") as caught:
        read_description(folder)
    assert str(folder / file) in caught.value.message
    assert not is_complete(folder)


def test_a_model_that_does_not_say_its_dimension_is_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder, config={"hidden_size": None})
    (folder / "1_Pooling" / "config.json").write_text("{}")

    with pytest.raises(EmbeddingError, match="do not say how long"):
        _ = read_description(folder).dimension
