"""Texts become the vectors that sentence-transformers gives them, in order, whole and checked."""

import json
import logging
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tiny_models import SENTENCES

from ragstack.embedding import sentence
from ragstack.embedding.compiled import open_original
from ragstack.embedding.fingerprint import PROBE_COSINE, lowest_cosine, probe_vectors
from ragstack.embedding.models import locate_model
from ragstack.embedding.open import open_embedder
from ragstack.embedding.quiet import quiet_libraries
from ragstack.embedding.sentence import SentenceTransformerEmbedder, _batches
from ragstack.errors import EmbeddingError, ModelDamagedError
from ragstack.records import Embedder

PROSE = [
    "A cat sleeps on the warm windowsill.",
    "The kitten is napping by the window.",
    "Quarterly revenue grew by nine percent. " * 20,
    "",
    "検索 Überprüfung naïve café №5 🔍",
]

# Within what the tiny models read; number 3 is the longest, number 1 the shortest.
TEXTS = ["the budget", "", "a window", "the library of the committee on Tuesday", "x", "検索 naïve"]


def open_exact(name):
    """The embedder with the model run by sentence-transformers, whose vectors are compared digit by digit."""
    return SentenceTransformerEmbedder(locate_model(name, offline=True), open_runtime=open_original)


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    return open_exact(str(tiny_folder))


def reference(folder):
    """The library itself, which finds its own way from text to vectors."""
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer

    with quiet_libraries():
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def change_weights(folder, **changes):
    weights = load_file(folder / "model.safetensors")
    for name, value in changes.items():
        weights[name.replace("__", ".")][:] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# ------------------------------------------------------------------ the real model


def test_near_meanings_are_near(minilm):
    cat, kitten, revenue, *_ = minilm.embed_documents(PROSE)

    assert cat @ kitten > 0.6
    assert cat @ revenue < 0.1
    question = minilm.embed_query("where is the cat?")
    assert question @ cat > question @ revenue + 0.3


def test_vectors_equal_those_of_sentence_transformers(minilm, minilm_folder):
    expected = reference(minilm_folder).encode(PROSE, normalize_embeddings=True)

    assert lowest_cosine(minilm.embed_documents(PROSE), expected) >= PROBE_COSINE
    assert lowest_cosine(open_exact(None).embed_documents(PROSE), expected) > 0.99999


def test_the_default_embedder_answers_for_its_model(minilm):
    assert isinstance(minilm, Embedder)
    assert (minilm.dimension, minilm.max_tokens, minilm.document_overhead) == (384, 256, 2)
    assert minilm.tokenizer.word_limit == 100


def test_probe_vectors_of_two_openings_are_the_same_embedder(minilm):
    assert lowest_cosine(probe_vectors(minilm), probe_vectors(open_embedder(offline=True))) >= PROBE_COSINE


# ------------------------------------------------------------- shape, order, batches


def test_vectors_are_float32_and_normalised(tiny):
    vectors = tiny.embed_documents(TEXTS)

    assert vectors.shape == (len(TEXTS), 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert tiny.embed_query("one").shape == (16,)


def test_no_texts_give_no_vectors(tiny_folder):
    embedder = open_exact(str(tiny_folder))

    assert embedder.embed_documents([]).shape == (0, 16)
    assert embedder._opened is None


def test_every_text_keeps_its_place_whatever_the_batches(tiny):
    alone = {length: tiny.embed_documents(["window " * length])[0] for length in range(0, 56, 5)}
    lengths = np.random.default_rng(0).choice(list(alone), size=300).tolist()

    vectors = tiny.embed_documents(["window " * length for length in lengths])

    assert all(vector @ alone[length] > 0.99999 for length, vector in zip(lengths, vectors, strict=True))


@given(lengths=st.lists(st.integers(1, 300), max_size=60), budget=st.integers(1, 1_000))
def test_batches_hold_every_text_once_sorted_and_within_the_budget(lengths, budget):
    batches = list(_batches(lengths, budget))
    order = [row for rows in batches for row in rows]

    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    assert all(len(rows) == 1 or len(rows) * lengths[rows[0]] <= budget for rows in batches)
    assert all(lengths[rows[-1]] >= sentence.FILLED_AT_LEAST * lengths[rows[0]] for rows in batches)


def test_progress_is_told_of_every_text_once(tiny):
    told = []
    tiny.embed_documents(["window " * (n % 50) for n in range(200)], progress=told.append)

    assert sum(told) == 200
    assert len(told) > 1


def test_a_model_without_a_normalising_module_gives_normalised_vectors(tiny, tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:2]))

    vectors = open_exact(str(folder)).embed_documents(TEXTS)
    assert np.allclose(vectors, tiny.embed_documents(TEXTS), atol=1e-5)


def test_fewer_dimensions_are_the_first_ones_normalised_again(tiny, tiny_folder, copy_of):
    folder = copy_of(tiny_folder, config_sentence_transformers={"truncate_dim": 4})
    expected = tiny.embed_documents(TEXTS)[:, :4]

    vectors = open_exact(str(folder)).embed_documents(TEXTS)
    assert np.allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_half_precision_weights_are_computed_in_full_on_a_cpu(tiny_folder, copy_of):
    folder = copy_of(tiny_folder, config={"dtype": "float16"})
    weights = {
        name: value.astype(np.float16) for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    upcast = copy_of(tiny_folder, "upcast")
    full = {name: value.astype(np.float32) for name, value in weights.items()}
    save_file(full, upcast / "model.safetensors", metadata={"format": "pt"})

    some, others = (open_exact(str(path)).embed_documents(TEXTS) for path in (folder, upcast))
    assert np.array_equal(some, others)


# -------------------------------------------------------------- prompts and modules


def test_prompts_are_put_before_questions_and_documents(tiny, tiny_folder):
    library = reference(tiny_folder)

    assert lowest_cosine(tiny.embed_documents(TEXTS), library.encode_document(TEXTS)) > 0.99999
    assert tiny.embed_query("window") @ library.encode_query("window") > 0.99999
    assert tiny.embed_query("window") @ tiny.embed_documents(["window"])[0] < 0.999


def test_the_prompt_is_part_of_the_overhead(tiny):
    assert tiny.document_overhead == 2 + tiny.tokenizer.count("passage: ")


def test_a_prompt_that_is_not_pooled_is_left_out_as_the_library_does(tiny, tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({**pooling, "include_prompt": False}))

    vectors = open_exact(str(folder)).embed_documents(TEXTS)

    assert lowest_cosine(vectors, reference(folder).encode_document(TEXTS)) > 0.99999
    assert lowest_cosine(vectors, tiny.embed_documents(TEXTS)) < 0.999


def test_a_dense_layer_is_applied(tiny_dense_folder):
    embedder = open_exact(str(tiny_dense_folder))

    vectors = embedder.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), 5)
    assert lowest_cosine(vectors, reference(tiny_dense_folder).encode_document(TEXTS)) > 0.99999


def test_byte_level_tokens_and_offset_positions_work_up_to_the_longest_text(tiny_roberta_folder):
    embedder = open_exact(str(tiny_roberta_folder))
    words = ["window " * n for n in range(20)]
    longest = max((text for text in words if embedder.tokenizer.count("passage: " + text) <= 62), key=len)
    texts = [*SENTENCES[:2], "", longest, "漢字"]

    assert embedder.max_tokens == 64
    expected = reference(tiny_roberta_folder).encode_document(texts)
    assert lowest_cosine(embedder.embed_documents(texts), expected) > 0.99999


def test_lowercasing_that_the_model_asks_for_is_done(tiny_roberta_folder, copy_of):
    folder = copy_of(tiny_roberta_folder, sentence_bert_config={"do_lower_case": True})
    embedder = open_exact(str(folder))

    upper, lower = embedder.embed_documents(["THE BUDGET", "the budget"])
    assert np.array_equal(upper, lower)


# --------------------------------------------------------------------- never cut


def test_a_text_of_exactly_the_limit_passes_and_one_more_token_is_refused(tiny):
    room = tiny.max_tokens - tiny.document_overhead
    assert tiny.tokenizer.count("window") == 1

    tiny.embed_documents(["window " * room])
    with pytest.raises(EmbeddingError, match="text 1 has 65 tokens, and the embedding model reads 64"):
        tiny.embed_documents(["window", "window " * (room + 1)])


def test_an_overlong_text_is_refused_before_the_model_is_loaded(tiny_folder):
    embedder = open_exact(str(tiny_folder))

    with pytest.raises(EmbeddingError, match="text 0 has"):
        embedder.embed_query("window " * 100)
    assert embedder._opened is None


@given(st.text(max_size=60))
def test_the_overhead_is_never_less_than_what_is_added(tiny, text):
    read = len(tiny.tokenizer.model_input(["passage: " + text])[0])

    assert read <= tiny.tokenizer.count(text) + tiny.document_overhead


# ------------------------------------------------------------------ output checked


def test_vectors_that_are_not_finite_are_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    change_weights(folder, embeddings__LayerNorm__bias=np.nan)

    with pytest.raises(EmbeddingError, match="a vector that is not finite for text"):
        open_exact(str(folder)).embed_documents(TEXTS)


def test_zero_vectors_are_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    last = "encoder__layer__1__output__LayerNorm"
    change_weights(folder, **{f"{last}__weight": 0, f"{last}__bias": 0})

    with pytest.raises(EmbeddingError, match="a zero vector for text"):
        open_exact(str(folder)).embed_documents(TEXTS)


class FaultyRuntime:
    """A runtime that spoils what the real one gives."""

    batch_tokens = 10_000

    def __init__(self, embedder, spoil):
        self.runtime = open_original(embedder)
        self.spoil = spoil

    def run(self, batch):
        return self.spoil(self.runtime.run(batch))


def spoil_row(row, value):
    def spoil(vectors):
        vectors[row] = value
        return vectors

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda vectors: vectors[:-1], "5 vectors for 6 texts, none for text 1"),
        (lambda vectors: vectors[:0], "0 vectors for 6 texts, none for text 3"),
        (lambda vectors: np.concatenate([vectors, vectors]), "12 vectors for 6 texts"),
        (lambda vectors: vectors[:, :15], r"of shape \(6, 15\)"),
        (lambda vectors: vectors[0], r"of shape \(16,\)"),
        (spoil_row(0, np.inf), "not finite for text 3"),
        (spoil_row(-1, np.nan), "not finite for text 1"),
        (spoil_row(-1, 0), "a zero vector for text 1"),
    ],
)
def test_a_faulty_runtime_is_found_out_and_the_text_named(tiny, monkeypatch, spoil, message):
    monkeypatch.setattr(sentence, "FILLED_AT_LEAST", 0.0)
    # The longest text (3) comes first in the only batch, the shortest (1) last.
    faulty = SentenceTransformerEmbedder(
        tiny.model, open_runtime=lambda embedder: FaultyRuntime(embedder, spoil)
    )

    with pytest.raises(EmbeddingError, match=message):
        faulty.embed_documents(TEXTS)


def test_weights_that_do_not_fit_the_configuration_raise_one_line(tiny_folder, copy_of):
    folder = copy_of(tiny_folder, config={"intermediate_size": 48})

    with pytest.raises(EmbeddingError, match="sentence-transformers cannot open the model") as caught:
        open_exact(str(folder)).embed_documents(TEXTS)
    assert "\n" not in caught.value.message


def test_a_model_that_fails_while_it_runs_raises_one_line(tiny_folder, copy_of):
    # Its table of words is shorter than its tokenizer's vocabulary.
    folder = copy_of(tiny_folder, config={"vocab_size": 20})
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file(
        {**weights, name: weights[name][:20].copy()}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    embedder = open_exact(str(folder))

    with pytest.raises(EmbeddingError, match="the embedding model failed") as caught:
        embedder.embed_documents(TEXTS)
    assert "\n" not in caught.value.message


# ---------------------------------------------------------------- opening the model


def test_weights_that_change_after_opening_are_refused(tiny_folder, copy_of):
    folder = copy_of(tiny_folder)
    embedder = open_exact(str(folder))
    assert embedder.fingerprint.key
    change_weights(folder, embeddings__LayerNorm__bias=0.5)

    with pytest.raises(ModelDamagedError, match="have changed since the model was opened"):
        embedder.embed_query("one")


def test_threads_share_one_model(tiny):
    opened = []

    def open_runtime(embedder):
        opened.append(threading.get_ident())
        return open_original(embedder)

    embedder = SentenceTransformerEmbedder(tiny.model, open_runtime=open_runtime)
    threads = [threading.Thread(target=embedder.embed_query, args=("one",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 1


def test_a_tokenizer_that_transformers_builds_otherwise_is_reported(tiny_folder, copy_of, caplog):
    folder = copy_of(
        tiny_folder, tokenizer_config={"tokenizer_class": "BertTokenizer", "do_lower_case": False}
    )

    with caplog.at_level(logging.WARNING, logger="ragstack"):
        open_exact(str(folder)).embed_query("one")
    assert [record.message for record in caplog.records if "differs from `tokenizer.json`" in record.message]


def test_a_usual_tokenizer_is_not_reported(tiny_folder, caplog):
    with caplog.at_level(logging.WARNING, logger="ragstack"):
        open_exact(str(tiny_folder)).embed_query("one")
    assert not caplog.records


PROGRAM = """
import json, sys
from ragstack.embedding.open import open_embedder

LIBRARIES = ("torch", "transformers", "sentence_transformers")
embedder = open_embedder(sys.argv[1])
told = [embedder.fingerprint.key, embedder.max_tokens, embedder.document_overhead, embedder.dimension]
told.append(len(embedder.tokenizer.spans("one two")))
before = [name for name in LIBRARIES if name in sys.modules]
vector = embedder.embed_query("one two").tolist()
after = [name for name in LIBRARIES if name in sys.modules]
said = {"told": told, "before": before, "after": after, "vector": vector}
said["telemetry"] = [name for name in sys.modules if "telemetry" in name]
json.dump(said, sys.stdout)
"""


def run_program(*arguments):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True
    )


@pytest.fixture(scope="module")
def remarkable_folder(tiny_folder, tmp_path_factory):
    """A model with all that libraries remark on: surplus weights, a default prompt, a newer version."""
    folder = tmp_path_factory.mktemp("remarkable") / "model"
    shutil.copytree(tiny_folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "surplus.weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    sentence_config = json.loads((folder / "config_sentence_transformers.json").read_text())
    sentence_config["default_prompt_name"] = "query"
    sentence_config["__version__"]["sentence_transformers"] = "99.0"
    (folder / "config_sentence_transformers.json").write_text(json.dumps(sentence_config))
    return folder


@pytest.fixture(scope="module")
def first_use(remarkable_folder):
    return run_program(remarkable_folder)


def test_a_model_is_described_and_fingerprinted_without_loading_torch(first_use):
    said = json.loads(first_use.stdout)

    assert len(said["told"][0]) == 64
    assert (said["told"][1], said["told"][3]) == (64, 16)
    assert said["before"] == []


def test_the_second_process_embeds_without_the_libraries_that_the_first_compiled_with(
    first_use, remarkable_folder
):
    first, second = json.loads(first_use.stdout), json.loads(run_program(remarkable_folder).stdout)

    assert first["after"] == ["torch", "transformers", "sentence_transformers"]
    assert second["after"] == []
    assert second["telemetry"] == first["telemetry"] == []
    assert second["vector"] == first["vector"]


def test_the_default_model_needs_none_of_the_libraries_even_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = json.loads(run_program("sentence-transformers/all-MiniLM-L6-v2").stdout)

    assert said["after"] == []
    assert list((tmp_path / "ragstack" / "models").glob("*.compiled"))


def test_a_first_use_says_that_it_compiles_and_no_library_says_anything(first_use, remarkable_folder):
    assert (
        first_use.stderr
        == f"compiling the embedding model `{remarkable_folder.as_posix()}` for this machine, once\n"
    )


def test_a_later_use_writes_nothing_to_the_terminal(first_use, remarkable_folder):
    assert run_program(remarkable_folder).stderr == ""
