"""A fingerprint follows a model's content, and probe vectors tell runtimes apart."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder
from safetensors.numpy import load_file, save_file
from tiny_models import change_json

from ragstack.embedding.description import read_description
from ragstack.embedding.fingerprint import (
    PROBE_COSINE,
    PROBE_TEXTS,
    fingerprint_of,
    lowest_cosine,
    probe_vectors,
    weights_sha256,
)
from ragstack.embedding.models import LocatedModel
from ragstack.embedding.open import open_embedder
from ragstack.errors import ModelDamagedError


def key_of(folder):
    return fingerprint_of(LocatedModel(folder, folder.name), read_description(folder)).key


def test_the_default_model_s_key_is_fixed(minilm):
    # Stores hold this key: a change of it is a change of the format of fingerprints.
    assert minilm.fingerprint.key == "bf28c374c3be59ec0a119029ec62c8e47d541457f4fde6c738f97c82dee045b3"
    assert minilm.fingerprint.weights == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_copied_folder_is_the_same_embedder(minilm, minilm_folder, tmp_path):
    shutil.copytree(minilm_folder, tmp_path / "elsewhere")

    copied = open_embedder(str(tmp_path / "elsewhere")).fingerprint
    assert copied.key == minilm.fingerprint.key
    assert (copied.name, copied.revision) == ((tmp_path / "elsewhere").as_posix(), None)


def test_name_and_revision_do_not_count(minilm):
    renamed = dataclasses.replace(minilm.fingerprint, name="mine", revision="main")

    assert renamed.key == minilm.fingerprint.key


def test_formatting_and_incidental_settings_do_not_count(tiny_folder, copy_of):
    folder = copy_of(
        tiny_folder, config={"transformers_version": "4.0.0", "_name_or_path": "x", "dtype": "float16"}
    )
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(reversed(config.items())), indent=7))
    (folder / "README.md").write_text("a model card")

    assert key_of(folder) == key_of(tiny_folder)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config", {"hidden_act": "relu"}),
        ("config", {"layer_norm_eps": 1e-6}),
        ("sentence_bert_config", {"max_seq_length": 32}),
        ("sentence_bert_config", {"do_lower_case": True}),
        ("tokenizer_config", {"model_max_length": 32}),
        ("config_sentence_transformers", {"prompts": {"query": "question: ", "document": "passage: "}}),
        ("config_sentence_transformers", {"prompts": {"query": "query: ", "document": "text: "}}),
        ("config_sentence_transformers", {"truncate_dim": 8}),
        ("tokenizer", {"normalizer": None}),
    ],
)
def test_what_decides_the_vectors_counts(tiny_folder, copy_of, file, change):
    assert key_of(copy_of(tiny_folder, **{file: change})) != key_of(tiny_folder)


def test_pooling_and_normalisation_count(tiny_folder, copy_of):
    pooled, unnormalised, whole = (
        copy_of(tiny_folder, "pooled"),
        copy_of(tiny_folder, "plain"),
        key_of(tiny_folder),
    )
    change_json(pooled / "1_Pooling" / "config.json", {"pooling_mode": "cls"})
    modules = json.loads((unnormalised / "modules.json").read_text())
    (unnormalised / "modules.json").write_text(json.dumps(modules[:2]))

    assert len({key_of(pooled), key_of(unnormalised), whole}) == 3


def test_one_changed_weight_counts(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] = weights["embeddings.LayerNorm.bias"] + np.float32(1e-6)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    assert key_of(folder) != key_of(tiny_folder)


def test_several_weight_files_are_hashed_with_their_names(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    first, second = folder / "model-1-of-2.safetensors", folder / "model-2-of-2.safetensors"
    shutil.copy(folder / "model.safetensors", first)
    (folder / "model.safetensors").rename(second)
    change_json(folder / "model.safetensors.index.json", {"weight_map": {"a": first.name, "b": second.name}})
    before = weights_sha256(read_description(folder))
    save_file({"x": np.ones(3, np.float32)}, second)

    assert weights_sha256(read_description(folder)) != before


def test_missing_weights_are_named(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    (folder / "model.safetensors").unlink()

    with pytest.raises(ModelDamagedError, match=r"model\.safetensors` is missing"):
        key_of(folder)


def test_probes_give_one_vector_each():
    assert probe_vectors(DeterministicEmbedder()).shape == (len(PROBE_TEXTS), 64)


def test_the_lowest_cosine_is_that_of_the_worst_probe():
    vectors = probe_vectors(DeterministicEmbedder())
    other = vectors.copy()
    other[1] = vectors[0]

    assert lowest_cosine(vectors, vectors) == pytest.approx(1, abs=1e-6)
    assert lowest_cosine(vectors, other) == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)
    assert lowest_cosine(vectors, probe_vectors(DeterministicEmbedder(seed=1))) < PROBE_COSINE


def test_vectors_of_other_shapes_are_not_alike():
    assert lowest_cosine(np.ones((3, 4), np.float32), np.ones((3, 5), np.float32)) == -1
