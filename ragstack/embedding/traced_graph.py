"""Makes an OpenVINO graph of any model that sentence-transformers runs, by tracing it.

Works only while torch is in memory, which it is at a model's first use. A trace records what was computed for
one batch; that it holds for others is checked by `compiled`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragstack.embedding.openvino_runtime import without_reports
from ragstack.embedding.quiet import quiet_libraries
from ragstack.embedding.runtime import TokenBatch
from ragstack.errors import EmbeddingError

# What it logs while it reads attributes that transformers keeps for older code.
_CHATTY_LOGGERS = ("transformers", "sentence_transformers", "openvino")


def trace_graph(model: Any, example: TokenBatch) -> Any:
    """The OpenVINO model, with the inputs ids, mask and pooled mask, of a SentenceTransformer on the CPU.

    `example` must have texts of different lengths, lest the trace leave out the mask. Raises EmbeddingError
    for a model that cannot be traced or has an operation that OpenVINO lacks.
    """
    import torch

    with without_reports():
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    inputs = tuple(torch.from_numpy(array) for array in (example.ids, example.mask, example.pooled))
    try:
        with torch.no_grad(), quiet_libraries(), _no_remarks():
            traced = torch.jit.trace(_as_one_module(model), inputs, check_trace=False)
            frontend = FrontEndManager().load_by_framework("pytorch")
            # The frontend does not keep the decoder alive that it calls back.
            decoder = TorchScriptPythonDecoder(traced)
            return frontend.convert(frontend.load(decoder))
    # Both libraries raise whatever a model makes them trip over.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise EmbeddingError(f"it cannot be exported: {reason}") from error


def _as_one_module(model: Any) -> Any:
    """The model's modules one after the other, as one module from tensors to a tensor."""
    import torch

    # Only a module's parameters may be traced; mypy, which does not see torch, allows no subclass of it.
    joined: Any = type("JoinedModules", (torch.nn.Module,), {"forward": _forward})()
    joined.parts = torch.nn.ModuleList(model)
    return joined.eval()


def _forward(joined: Any, ids: Any, mask: Any, pooled: Any) -> Any:
    transformer, *others = joined.parts
    features = transformer({"input_ids": ids, "attention_mask": mask})
    # Of the modules that are supported, only the transformer attends and only pooling reads the mask.
    features["attention_mask"] = pooled
    for part in others:
        features = part(features)
    return features["sentence_embedding"]


@contextmanager
def _no_remarks() -> Iterator[None]:
    """Tracing draws warnings about everything that it may get wrong, which is what the check is for."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY_LOGGERS}
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
