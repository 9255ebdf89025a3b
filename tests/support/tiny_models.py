"""Makes sentence-transformers models of a few kilobytes with random weights, to test real loading code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SENTENCES = (
    "The committee approved the budget for the new library on Tuesday.",
    "A context window holds the tokens that a language model reads at once.",
    "Naïve cafés in Zürich: déjà vu, 3.14 and 2024-05-01, (brackets) and semi-colons; done!",
    "query: passage: represent this sentence for retrieval, please.",
)

PROMPTS = {"query": "query: ", "document": "passage: "}


def change_json(path: Path, change: dict[str, Any]) -> None:
    """Set top-level values of a JSON object file, which is made if it is missing."""
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **change}))


def save_tiny_bert(folder: Path, *, dense: bool = False) -> None:
    """A random BERT of 64 positions with prompts, mean pooling and 16 dimensions, or 5 if `dense`."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**_SIZES, max_position_embeddings=64)
    _save(folder, BertModel, config, _wordpiece(), ("[PAD]", "[UNK]", "[CLS]", "[SEP]"), dense=dense)


def save_tiny_roberta(folder: Path) -> None:
    """A random RoBERTa: byte-level BPE, padding id 1, 66 positions of which 64 are read, cls pooling."""
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(**_SIZES, max_position_embeddings=66, pad_token_id=1)
    _save(folder, RobertaModel, config, _byte_level(), ("<pad>", "<unk>", "<s>", "</s>"), pooling="cls")


def save_tiny_cross_encoder(folder: Path, *, labels: int = 1) -> None:
    """A random BERT that reads pairs of texts and gives `labels` scores."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    from ragstack.embedding.quiet import quiet_libraries

    tokenizer = _wordpiece()
    config = BertConfig(
        **_SIZES, max_position_embeddings=64, vocab_size=tokenizer.get_vocab_size(), num_labels=labels
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    torch.manual_seed(7)
    with quiet_libraries():
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
        fast.save_pretrained(folder)
        BertForSequenceClassification(config).save_pretrained(folder)


_SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    # Large enough for random weights to tell texts apart.
    "initializer_range": 0.5,
}


def _save(
    folder: Path,
    architecture: Any,
    config: Any,
    tokenizer: Any,
    specials: Sequence[str],
    *,
    pooling: str = "mean",
    dense: bool = False,
) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from transformers import PreTrainedTokenizerFast

    from ragstack.embedding.quiet import quiet_libraries

    base = folder.with_name(f"{folder.name}-transformer")
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), specials, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
    torch.manual_seed(7)
    config.vocab_size = tokenizer.get_vocab_size()
    with quiet_libraries():
        fast.save_pretrained(base)
        architecture(config).save_pretrained(base)
        modules = [Transformer(str(base)), Pooling(16, pooling_mode=pooling)]
        modules += [Dense(16, 5)] if dense else []
        model = SentenceTransformer(modules=[*modules, Normalize()], prompts=PROMPTS, device="cpu")
        model.save_pretrained(str(folder), create_model_card=False)


def _wordpiece() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def _byte_level() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return tokenizer
