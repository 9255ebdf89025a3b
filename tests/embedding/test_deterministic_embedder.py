"""The embedder that other tests rely on keeps the promises of the real one."""

import numpy as np
import pytest
from deterministic_embedder import DeterministicEmbedder, DeterministicTokenizer
from hypothesis import given
from hypothesis import strategies as st

from ragstack.errors import EmbeddingError
from ragstack.records import Embedder, Tokenizer


def test_it_satisfies_both_protocols():
    embedder = DeterministicEmbedder()

    assert isinstance(embedder, Embedder)
    assert isinstance(embedder.tokenizer, Tokenizer)


def test_vectors_are_normalised_and_equal_in_every_process():
    vectors = DeterministicEmbedder().embed_documents(["the cat sat", "", "!"])

    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0, :2] == pytest.approx([0.130169, -0.173691], abs=1e-5)


def test_texts_that_share_words_are_nearer():
    embedder = DeterministicEmbedder()
    question = embedder.embed_query("where did the cat sit")

    near, far = embedder.embed_documents(["the cat did sit here", "profits rose by nine percent"]) @ question

    assert near > 0.5 > far


@pytest.mark.parametrize(
    "changed",
    [
        {"dimension": 32},
        {"seed": 1},
        {"max_tokens": 128},
        {"query_prompt": "q: "},
        {"document_prompt": "d: "},
        {"special_tokens": 0},
    ],
)
def test_each_argument_changes_the_fingerprint(changed):
    assert DeterministicEmbedder(**changed).fingerprint.key != DeterministicEmbedder().fingerprint.key


def test_equal_arguments_give_equal_fingerprints():
    assert DeterministicEmbedder(seed=3).fingerprint.key == DeterministicEmbedder(seed=3).fingerprint.key


def test_a_longer_text_than_it_reads_is_refused():
    embedder = DeterministicEmbedder(max_tokens=10)

    embedder.embed_documents(["a b c d e f g h"])
    with pytest.raises(EmbeddingError, match="text 1 has more than 10 tokens"):
        embedder.embed_documents(["a", "a b c d e f g h i"])


@given(st.text())
def test_token_spans_are_exact_and_counted(text):
    tokenizer = DeterministicTokenizer()
    spans = tokenizer.spans(text)

    assert tokenizer.count(text) == len(spans)
    tokens = [text[start:end] for start, end in zip(spans.starts, spans.ends, strict=True)]
    assert "".join(tokens) == "".join(text.split())
    assert all(tokens)


def test_a_long_word_is_several_tokens_of_one_word():
    spans = DeterministicTokenizer().spans("see extraordinarily fine")

    assert spans.words.tolist() == [0, 1, 1, 1, 2]
