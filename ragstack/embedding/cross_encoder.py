"""Scores pairs of a question and a passage with a sentence-transformers CrossEncoder, for reranking.

A cross-encoder reads both texts together, which finds more than two vectors do and costs a run of the model
for every passage. The model is loaded for the first question. Which passages are scored, and what follows
from the scores, is decided in `retrieval`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ragstack.embedding.hub import hub_model
from ragstack.embedding.quiet import quiet_libraries
from ragstack.errors import EmbeddingError, ModelNotFoundError, first_line

_BATCH = 16


class CrossEncoderReranker:
    """A CrossEncoder by folder or by name (`owner/model[@revision]`), loaded when it is first needed.

    `offline` forbids downloading; otherwise `announce` is told what is downloaded before it starts. Raises
    `ModelNotFoundError` when there are no files to be had.
    """

    def __init__(
        self, name: str, *, offline: bool = False, announce: Callable[[str], None] | None = None
    ) -> None:
        self.name = name
        self._folder = _locate(name, offline=offline, announce=announce)
        self._model: Any = None
        self._last_run = (0, 0.0)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, higher is better; raises `EmbeddingError`.

        Texts are cut where the model's window ends. On a GPU when torch finds one.
        """
        started = time.monotonic()
        if self._model is None:
            self._model = _open(self._folder)
        pairs = [(question, text) for text in texts]
        try:
            with quiet_libraries():
                found = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        # Models raise what they trip over: a failed allocation, an index outside a table.
        except Exception as error:
            raise EmbeddingError(f"the reranker `{self.name}` failed: {first_line(error)}") from error
        self._last_run = (len(texts), time.monotonic() - started)
        return [float(score) for score in found]

    @property
    def note(self) -> str:
        """What it took: the memory of its weights, and the time of the last question (with loading)."""
        texts, seconds = self._last_run
        size = sum(file.stat().st_size for file in self._folder.glob("*.safetensors"))
        return (
            f"reranked by `{self.name}`: {size / 1e6:,.1f} MB of weights on disk, "
            f"{seconds:.2f} s for {texts} passages"
        )


def _locate(name: str, *, offline: bool, announce: Callable[[str], None] | None) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not _is_complete(folder):
            raise ModelNotFoundError(
                f"`{name}` holds no cross-encoder: `config.json` or its safetensors are missing",
                hint="name the folder of a sentence-transformers CrossEncoder",
            )
        return folder.resolve()
    repository, _, revision = name.partition("@")
    return hub_model(
        repository,
        revision or None,
        is_complete=_is_complete,
        offline=offline,
        announce=announce,
        kind="reranker",
        needed=("config.json",),
        hint="name the folder of a sentence-transformers CrossEncoder, or ask without `--reranker`",
    )


def _is_complete(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _open(folder: Path) -> Any:
    with quiet_libraries():
        from sentence_transformers import CrossEncoder
    try:
        with quiet_libraries():
            model = CrossEncoder(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    # The libraries raise whatever a malformed model makes them trip over.
    except Exception as error:
        raise EmbeddingError(
            f"sentence-transformers cannot open the cross-encoder in `{folder}`: {first_line(error)}"
        ) from error
    if model.num_labels != 1:
        raise EmbeddingError(
            f"the model in `{folder}` sorts into {model.num_labels} classes and gives no relevance",
            hint="name a CrossEncoder with one output, as those trained on MS MARCO have",
        )
    return model
