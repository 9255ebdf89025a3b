"""Tokens are counted, located exactly and numbered into words, for every family of tokenizers."""

import json
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from ragstack.embedding import tokenizer as tokenizer_module
from ragstack.embedding.tokenizer import ModelTokenizer
from ragstack.errors import ModelDamagedError
from ragstack.records import Tokenizer as TokenizerProtocol

CORPUS = [
    "The quick brown fox jumps over the lazy dog; numbers 123 and 4.5 follow.",
    "Naïve cafés in Zürich. ﬁne print, ½ price ™ 漢字 かな 한국어 Ελληνικά кириллица",
    "\n\n  indented\ttabs\n- item\n",
] * 3
KINDS = ["wordpiece", "byte-level", "byte-level with prefix", "unigram", "unigram without splits"]

# Whitespace, combining marks, ligatures, letters that change length in lower case, emoji and joiners, Hangul
# that composes, control characters: what normalisers move, join, split and drop.
AWKWARD = (
    "  \n\n\t\u00a0\u3000\u2028abcZé\u0301\u0327\u0323ﬁİßﷺ"
    "½Ω\u1e9b👍🏽\u200d\ufe0f漢か한\u1100\u1161\u11a8\u00ad\u200b\x00\x7f.,-'"
)
# Every property runs on several tokenizers.
few = settings(max_examples=50, deadline=None)

any_text = st.text(st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_categories=["Cs"])), max_size=40)
prose = st.lists(st.from_regex(r"[a-zA-Z0-9éß漢.,;:'()\-]{1,12}", fullmatch=True), min_size=1, max_size=40)


def _byte_level(prefix):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _unigram(split):
    tokenizer = Tokenizer(models.Unigram())
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    trainer = trainers.UnigramTrainer(
        vocab_size=150, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer_files(tmp_path_factory, minilm_folder):
    folder = tmp_path_factory.mktemp("tokenizers")
    made = {
        "byte-level": _byte_level(prefix=False),
        "byte-level with prefix": _byte_level(prefix=True),
        "unigram": _unigram(split=True),
        "unigram without splits": _unigram(split=False),
    }
    for kind, tokenizer in made.items():
        tokenizer.save(str(folder / f"{kind}.json"))
    return {kind: folder / f"{kind}.json" for kind in made} | {"wordpiece": minilm_folder / "tokenizer.json"}


@pytest.fixture(scope="session")
def tokenizers(tokenizer_files):
    return {kind: ModelTokenizer(path) for kind, path in tokenizer_files.items()}


@pytest.fixture(scope="session")
def wordpiece(tokenizers):
    return tokenizers["wordpiece"]


@pytest.fixture(scope="session")
def raw(tokenizer_files):
    """The library's own tokenizers: which tokens there are, told without offsets."""
    opened = {kind: Tokenizer.from_file(str(path)) for kind, path in tokenizer_files.items()}
    for tokenizer in opened.values():
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
    return opened


def _tokens(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).tokens


@pytest.mark.parametrize("kind", KINDS)
@few
@given(text=any_text)
def test_spans_are_sorted_lie_in_the_text_and_exclude_outer_whitespace(tokenizers, kind, text):
    spans = tokenizers[kind].spans(text)

    assert spans.starts.dtype == spans.ends.dtype == spans.words.dtype == np.int64
    assert (np.diff(spans.starts) >= 0).all()
    assert (np.diff(spans.ends) >= 0).all()
    for start, end in zip(spans.starts, spans.ends, strict=True):
        assert 0 <= start <= end <= len(text)
        assert text[start:end] == text[start:end].strip()


@pytest.mark.parametrize("kind", KINDS)
@few
@given(texts=st.lists(any_text, max_size=4))
def test_counts_equal_the_number_of_spans_one_by_one_and_in_a_batch(tokenizers, kind, texts):
    tokenizer = tokenizers[kind]
    counts = [len(tokenizer.spans(text)) for text in texts]

    assert [tokenizer.count(text) for text in texts] == counts
    assert tokenizer.count_many(texts) == counts
    assert [len(spans) for spans in tokenizer.spans_many(texts)] == counts


@pytest.mark.parametrize("kind", KINDS)
@few
@given(text=any_text)
def test_words_are_numbered_from_0_without_gaps(tokenizers, kind, text):
    words = tokenizers[kind].spans(text).words

    assert len(words) == 0 or words[0] == 0
    assert set(np.diff(words).tolist()) <= {0, 1}


@pytest.mark.parametrize("kind", KINDS)
@few
@given(text=any_text)
def test_no_whitespace_lies_between_two_tokens_of_one_word(tokenizers, kind, text):
    spans = tokenizers[kind].spans(text)

    for token in np.flatnonzero(np.diff(spans.words) == 0):
        assert not re.search(r"\s", text[spans.ends[token] : spans.starts[token + 1]])


@few
@given(text=any_text)
def test_wordpiece_spans_hold_exactly_what_their_token_was_made_of(wordpiece, raw, text):
    reference = raw["wordpiece"]
    spans = wordpiece.spans(text)

    for token, start, end in zip(_tokens(reference, text), spans.starts, spans.ends, strict=True):
        if token != "[UNK]":
            source = reference.normalizer.normalize_str(text[start:end]).strip()
            assert token.removeprefix("##") in source
            # The slice holds no more than the token, but where one character became several.
            shortest = min(len(unicodedata.normalize("NFD", letter)) for letter in text[start:end])
            assert source == token.removeprefix("##") or shortest > 1 or end - start == 1


@pytest.mark.parametrize("kind", ["byte-level", "byte-level with prefix"])
@few
@given(text=any_text)
def test_byte_level_spans_are_the_characters_whose_bytes_the_token_holds(tokenizers, raw, kind, text):
    # The tokens' lengths alone place them: each of their characters stands for one byte of the text.
    character_of_byte = [place for place, letter in enumerate(text) for _ in letter.encode()]
    added = "prefix" in kind and text and not text.startswith(" ")
    byte = -1 if added else 0
    expected = []
    for token in _tokens(raw[kind], text):
        # A space that the tokenizer adds belongs to the first character.
        covered = character_of_byte[max(byte, 0) : max(byte + len(token), 1)]
        byte += len(token)
        content = [place for place in covered if not text[place].isspace()]
        expected.append((content[0], content[-1] + 1) if content else None)
    spans = tokenizers[kind].spans(text)

    assert byte == len(character_of_byte)
    for place, start, end in zip(expected, spans.starts, spans.ends, strict=True):
        assert (start, end) == place if place else start == end


@pytest.mark.parametrize("kind", ["unigram", "unigram without splits"])
@few
@given(text=any_text)
def test_unigram_spans_hold_the_characters_of_their_token(tokenizers, raw, kind, text):
    spans = tokenizers[kind].spans(text)

    for token, start, end in zip(_tokens(raw[kind], text), spans.starts, spans.ends, strict=True):
        written = token.replace("▁", " ").strip()
        assert written in unicodedata.normalize("NFKC", text[start:end])
        assert start < end or not written


@pytest.mark.parametrize("kind", KINDS)
@few
@given(words=prose)
def test_spans_of_prose_are_the_tokens_letter_for_letter(tokenizers, raw, kind, words):
    text = " ".join(words).encode("ascii", "ignore").decode()
    spans = tokenizers[kind].spans(text)

    for token, start, end in zip(_tokens(raw[kind], text), spans.starts, spans.ends, strict=True):
        written = token.removeprefix("##").replace("▁", " ").replace("Ġ", " ").strip()
        is_added_space = start == 0 and not written
        if token not in ("[UNK]", "<unk>") and not is_added_space:
            assert text[start:end].lower() == written.lower()


@few
@given(words=prose, data=st.data())
def test_a_window_of_whole_words_has_as_many_tokens_alone(wordpiece, words, data):
    text = " ".join(words)
    spans = wordpiece.spans(text)
    last_word = int(spans.words[-1])
    first = data.draw(st.integers(0, last_word))
    inside = (spans.words >= first) & (spans.words <= data.draw(st.integers(first, last_word)))

    window = text[spans.starts[inside].min() : spans.ends[inside].max()]
    assert wordpiece.count(window) == inside.sum()


@pytest.mark.parametrize("kind", ["wordpiece", "byte-level", "unigram"])
@few
@given(words=prose, separators=st.lists(st.sampled_from([" ", "\n", "\n\n"]), min_size=40, max_size=40))
def test_cutting_a_long_text_at_whitespace_changes_no_token(tokenizers, kind, words, separators):
    text = "".join(word + separator for word, separator in zip(words, separators, strict=False)).strip()
    whole = tokenizers[kind].spans(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_module, "PIECE_CHARACTERS", 40)
        patch.setattr(tokenizer_module, "BATCH_CHARACTERS", 100)
        cut = tokenizers[kind].spans(text)
        count = tokenizers[kind].count(text)

    assert count == len(cut)
    assert cut.starts.tolist() == whole.starts.tolist()
    assert cut.ends.tolist() == whole.ends.tolist()
    assert cut.words.tolist() == whole.words.tolist()


def test_a_long_text_without_whitespace_is_located_to_its_end(wordpiece, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "PIECE_CHARACTERS", 64)
    text = "漢字" * 1_000

    spans = wordpiece.spans(text)

    assert len(spans) == wordpiece.count(text) == 2_000
    assert spans.starts.tolist() == list(range(2_000))
    assert spans.words.tolist() == list(range(2_000))


def test_truncation_and_padding_written_in_the_file_do_not_apply(wordpiece, minilm_folder):
    baked = json.loads((minilm_folder / "tokenizer.json").read_text())
    assert baked["truncation"]["max_length"] == 128
    assert baked["padding"]["strategy"] == {"Fixed": 128}

    assert wordpiece.count("word " * 500) == 500
    assert wordpiece.count("word") == 1
    assert [len(ids) for ids in wordpiece.model_input(["word " * 500, "word"])] == [502, 3]


def test_special_tokens_in_a_text_are_plain_text(wordpiece):
    assert wordpiece.count("[SEP]") == len("[ sep ]".split())
    assert wordpiece.model_input(["[MASK]"])[0].tolist() == wordpiece.model_input(["[ mask ]"])[0].tolist()


def test_the_word_limit_is_the_wordpiece_model_s(tokenizers):
    wordpiece = tokenizers["wordpiece"]

    assert wordpiece.word_limit == 100
    assert wordpiece.count("a" * 101) == 1
    assert wordpiece.count("a" * 100) > 1
    assert tokenizers["byte-level"].word_limit is None


def test_special_tokens_are_counted_apart(wordpiece, tokenizers):
    assert wordpiece.special_tokens == 2
    assert wordpiece.leading_special_tokens == 1
    assert tokenizers["byte-level"].special_tokens == 0


def test_lone_surrogates_count_as_one_character_each(wordpiece):
    spans = wordpiece.spans("one \ud800 two\udfff three")

    assert spans.ends[-1] == len("one \ud800 two\udfff three")
    assert wordpiece.count("one \ud800 two") == wordpiece.count("one \ufffd two")


def test_lowercasing_asked_for_by_the_model_comes_first(tokenizer_files):
    cased = ModelTokenizer(tokenizer_files["byte-level"])
    lowercased = ModelTokenizer(tokenizer_files["byte-level"], lowercase=True)

    assert lowercased.model_input(["QUICK Fox"])[0].tolist() == cased.model_input(["quick fox"])[0].tolist()
    assert cased.model_input(["QUICK Fox"])[0].tolist() != cased.model_input(["quick fox"])[0].tolist()
    assert lowercased.spans("QUICK Fox").ends[-1] == 9


def test_no_texts_give_no_results(wordpiece):
    assert wordpiece.count_many([]) == []
    assert wordpiece.spans_many([]) == []
    assert len(wordpiece.spans("")) == 0
    assert len(wordpiece.spans(" \n ")) == 0


def test_it_satisfies_the_protocol(wordpiece):
    assert isinstance(wordpiece, TokenizerProtocol)


def test_a_missing_file_is_named_with_a_way_to_make_it(tmp_path):
    with pytest.raises(ModelDamagedError, match=r"tokenizer\.json` is missing") as caught:
        ModelTokenizer(tmp_path / "tokenizer.json")
    assert "save_pretrained" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{}", '{"version": "1.0", "model": {"type": "Surprise"}}', "\x80"])
def test_an_unreadable_file_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)

    with pytest.raises(ModelDamagedError, match=r"tokenizer\.json` is not a readable tokenizer"):
        ModelTokenizer(path)
