"""Runs a compiled model with OpenVINO, a tenth of a second after it was read from its file.

The only module that imports OpenVINO, and it does so without OpenVINO's model converter, whose import reports
to Google Analytics. Where a graph comes from and whether its vectors are right is for others to know.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from ragstack.embedding.runtime import TokenBatch
from ragstack.errors import EmbeddingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

# Measured with 160-token chunks on 2 cores: what a batch computes then stays in their caches (1,024 and 2,048
# were twice as fast as 4,096, four times as fast as 8,192).
BATCH_TOKENS = 2_048

# `openvino/tools/ovc/__init__.py` sends an event at import unless the user opted out; `openvino/__init__.py`
# imports it if it can, and needs nothing of it to run models (2026.4).
_REPORTING_MODULE = "openvino.tools.ovc"


@contextlib.contextmanager
def without_reports() -> Iterator[None]:
    """Within this context parts of OpenVINO can be imported, and its telemetry cannot."""
    if _REPORTING_MODULE in sys.modules:
        yield
        return
    # None makes the import system refuse the name (https://docs.python.org/3/reference/import.html).
    sys.modules[_REPORTING_MODULE] = cast(ModuleType, None)
    try:
        yield
    finally:
        del sys.modules[_REPORTING_MODULE]


def load_openvino() -> Any:
    """The module `openvino`; raises ImportError where it is not installed."""
    with without_reports():
        import openvino
    return openvino


def precisions() -> tuple[str, ...]:
    """The precisions to compute in, quickest first: bfloat16 only where the processor has it.

    bfloat16 keeps 8 bits of the mantissa in products and sums them in float32.
    """
    capabilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("bf16", "f32") if "BF16" in capabilities else ("f32",)


def compiled_for() -> str:
    """What compiled models are good for: this version of OpenVINO on this kind of processor, as 12 digits."""
    openvino = load_openvino()
    core = openvino.Core()
    facts = [openvino.get_version(), core.get_property("CPU", "FULL_DEVICE_NAME"), str(precisions())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def compile_graph(graph: Any, precision: str) -> Any:
    """The compiled form of an OpenVINO model, for this processor."""
    return load_openvino().Core().compile_model(graph, "CPU", _configuration(precision))


def export_compiled(compiled: Any) -> bytes:
    """A compiled model as bytes, for `import_compiled` of the same version on the same kind of processor."""
    exported: bytes = compiled.export_model().getvalue()
    return exported


def import_compiled(data: NDArray[np.uint8], precision: str) -> Any:
    """The compiled model that `export_compiled` wrote; the array must live as long as the model."""
    openvino = load_openvino()
    tensor = openvino.Tensor(data, shared_memory=True)
    return openvino.Core().import_model(tensor, "CPU", _configuration(precision))


def _configuration(precision: str) -> dict[str, Any]:
    configuration = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    threads = os.environ.get("OMP_NUM_THREADS", "")
    # The variable by which users bound torch, too; OpenVINO's own pool does not read it.
    return configuration | ({"INFERENCE_NUM_THREADS": int(threads)} if threads.isdecimal() else {})


class OpenVinoRuntime:
    """A compiled model in memory, from token ids, mask and pooled mask to vectors.

    Safe to use from several threads, one at a time: a batch keeps all cores busy. `keep` is the memory that
    the weights lie in.
    """

    def __init__(self, compiled: Any, *, keep: object = None) -> None:
        self._request = compiled.create_infer_request()
        self._running = threading.Lock()
        # Last, as attributes are released in their order: the memory must outlive what points into it.
        self._keep = keep

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, filling included, at which OpenVINO is fastest."""
        return BATCH_TOKENS

    def run(self, batch: TokenBatch) -> FloatArray:
        """The sentence embeddings of the batch, float32 of shape (texts, output dimension)."""
        with self._running:
            try:
                outputs = self._request.infer([batch.ids, batch.mask, batch.pooled], share_inputs=True)
            # OpenVINO raises RuntimeError for whatever a model trips over, such as an index outside a table.
            except RuntimeError as error:
                raise EmbeddingError(f"the embedding model failed: {_first_line(error)}") from error
            vectors: FloatArray = outputs[0]
        return vectors


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
