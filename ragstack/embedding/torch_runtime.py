"""Runs a model with sentence-transformers and torch, on a GPU when there is one.

Imports them only when a model is opened: importing takes seconds. The model is given token ids, not text, so
that it reads exactly the tokens that were counted, whatever version of transformers is installed. Checking
what comes out is not its concern.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragstack.embedding.description import ModelDescription
from ragstack.embedding.fingerprint import PROBE_TEXTS
from ragstack.embedding.quiet import quiet_libraries
from ragstack.embedding.runtime import TokenBatch
from ragstack.embedding.tokenizer import ModelTokenizer
from ragstack.errors import EmbeddingError, first_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

_logger = logging.getLogger(__name__)

# Measured on 2 CPU cores with 128-token texts; see `TorchRuntime.batch_tokens`.
_CPU_BATCH_TOKENS = 4_096
# A GPU needs more at once to be busy; 32 K tokens of MiniLM take well under 1 GB.
_GPU_BATCH_TOKENS = 32_768


class TorchRuntime:
    """A sentence-transformers model in memory; raises `EmbeddingError` when the libraries cannot open it.

    Without a `device` torch chooses: a GPU when there is one.
    Threads are as the user set them for torch (`OMP_NUM_THREADS`). On a CPU the model computes in float32,
    whatever precision its weights are stored in; on a GPU in the precision they are stored in.
    """

    def __init__(
        self, description: ModelDescription, tokenizer: ModelTokenizer, *, device: str | None = None
    ) -> None:
        self._model = _open(description, device)
        _warn_if_tokens_differ(self._model, description, tokenizer)

    @property
    def model(self) -> Any:
        """The SentenceTransformer."""
        return self._model

    @property
    def is_on_gpu(self) -> bool:
        """Whether the model computes on something other than the processor."""
        return bool(self._model.device.type != "cpu")

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, filling included, at which the model is fastest on this device."""
        return _GPU_BATCH_TOKENS if self.is_on_gpu else _CPU_BATCH_TOKENS

    def run(self, batch: TokenBatch) -> FloatArray:
        """The sentence embeddings of the batch, float32 of shape (texts, output dimension)."""
        import torch

        device = self._model.device
        features: dict[str, Any] = {
            "input_ids": torch.from_numpy(batch.ids).to(device),
            "attention_mask": torch.from_numpy(batch.mask).to(device),
        }
        if batch.skipped:
            features["prompt_length"] = batch.skipped
        try:
            with torch.inference_mode():
                output = self._model(features)["sentence_embedding"]
        # Models raise what they trip over: a failed allocation, an index outside a table.
        except Exception as error:
            raise EmbeddingError(f"the embedding model failed: {first_line(error)}") from error
        vectors: FloatArray = output.float().cpu().numpy()
        return vectors

    def run_each(self, batches: Iterable[TokenBatch]) -> Iterator[FloatArray]:
        """What `run` gives for each of many batches, one after the other."""
        return map(self.run, batches)


def _open(description: ModelDescription, device: str | None) -> Any:
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer
    try:
        with quiet_libraries():
            model = SentenceTransformer(
                str(description.folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    # The libraries raise whatever a malformed model makes them trip over.
    except Exception as error:
        raise EmbeddingError(
            f"sentence-transformers cannot open the model in `{description.folder}`: {first_line(error)}"
        ) from error
    if model.device.type == "cpu":
        model.float()
    return model.eval()


def _warn_if_tokens_differ(model: Any, description: ModelDescription, tokenizer: ModelTokenizer) -> None:
    """Say so when transformers would read other tokens than `tokenizer.json` gives.

    Versions of transformers rebuild some tokenizers from their parts. Ours stays with the file, as the
    vectors that a store already holds were made from it.
    """
    expected = [ids.tolist() for ids in tokenizer.model_input(PROBE_TEXTS)]
    if _tokens_of(model, PROBE_TEXTS) != expected:
        _logger.warning(
            "for `%s` transformers builds a tokenizer that differs from `tokenizer.json`; the latter is used",
            description.folder,
        )


def _tokens_of(model: Any, texts: Sequence[str]) -> list[list[int]]:
    """The token ids that sentence-transformers itself would read, without those that only fill up."""
    # Called `tokenize` before sentence-transformers 5.4, and `preprocess` since.
    features = model.preprocess(list(texts)) if hasattr(model, "preprocess") else model.tokenize(list(texts))
    rows = zip(features["input_ids"], features["attention_mask"], strict=True)
    return [ids[mask.bool()].tolist() for ids, mask in rows]
