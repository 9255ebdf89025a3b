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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from ragstack.embedding.runtime import TokenBatch
from ragstack.errors import EmbeddingError, first_line

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


def import_compiled(data: NDArray[np.uint8], precision: str, *, streams: bool = False) -> Any:
    """The compiled model that `export_compiled` wrote; the array must live as long as the model.

    All cores work on one batch, or with `streams` each on a batch of its own.
    """
    openvino = load_openvino()
    tensor = openvino.Tensor(data, shared_memory=True)
    return openvino.Core().import_model(tensor, "CPU", _configuration(precision, streams=streams))


def _configuration(precision: str, *, streams: bool = False) -> dict[str, Any]:
    hint = "THROUGHPUT" if streams else "LATENCY"
    configuration = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint}
    threads = os.environ.get("OMP_NUM_THREADS", "")
    # The variable by which users bound torch, too; OpenVINO's own pool does not read it.
    return configuration | ({"INFERENCE_NUM_THREADS": int(threads)} if threads.isdecimal() else {})


class OpenVinoRuntime:
    """A compiled model in memory, from token ids, mask and pooled mask to vectors.

    Safe to use from several threads, one at a time. `in_streams` loads the same model once more, for many
    batches: where other work shares the cores, cores that share a batch wait for the one that is held up.
    Beside one busy process two cores took 1.5 times as long for a batch together as for one each, alone as
    long. `keep` is the memory that the weights lie in.
    """

    def __init__(
        self, compiled: Any, *, in_streams: Callable[[], Any] | None = None, keep: object = None
    ) -> None:
        self._request = compiled.create_infer_request()
        self._in_streams = in_streams
        self._requests: list[Any] = []
        self._running = threading.Lock()
        self._streaming = threading.Lock()
        # Last, as attributes are released in their order: the memory must outlive what points into it.
        self._keep = keep

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, filling included, at which OpenVINO is fastest."""
        return BATCH_TOKENS

    def run(self, batch: TokenBatch) -> FloatArray:
        """The sentence embeddings of the batch, float32 of shape (texts, output dimension)."""
        with self._running, _named_failures():
            outputs = self._request.infer([batch.ids, batch.mask, batch.pooled], share_inputs=True)
            vectors: FloatArray = outputs[0]
        return vectors

    def run_each(self, batches: Iterable[TokenBatch]) -> Iterator[FloatArray]:
        """What `run` gives for each of many batches, in their order, a batch on each core."""
        if self._in_streams is None:
            yield from map(self.run, batches)
            return
        with self._streaming:
            requests = self._streams(self._in_streams)
            free, at_work = deque(requests), deque[Any]()
            try:
                for batch in batches:
                    if not free:
                        yield _result(at_work[0])
                        free.append(at_work.popleft())
                    request = free.popleft()
                    at_work.append(request)
                    with _named_failures():
                        request.start_async([batch.ids, batch.mask, batch.pooled], share_inputs=False)
                while at_work:
                    yield _result(at_work[0])
                    at_work.popleft()
            finally:
                _settle(at_work)

    def _streams(self, load: Callable[[], Any]) -> list[Any]:
        if not self._requests:
            with _named_failures():
                compiled = load()
                streams = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
                # One more waits for a free core: Python may be busy elsewhere when that comes.
                self._requests = [compiled.create_infer_request() for _ in range(streams + 1)]
        return self._requests


def _result(request: Any) -> FloatArray:
    """The vectors of a request at work; a copy, as the next batch overwrites them."""
    with _named_failures():
        request.wait()
        vectors: FloatArray = request.get_output_tensor(0).data.copy()
    return vectors


def _settle(requests: Iterable[Any]) -> None:
    """Wait until none is at work, so that they can be used again."""
    for request in requests:
        with contextlib.suppress(RuntimeError):
            request.wait()


@contextlib.contextmanager
def _named_failures() -> Iterator[None]:
    """OpenVINO raises RuntimeError for whatever a model trips over, such as an index outside a table."""
    try:
        yield
    except RuntimeError as error:
        raise EmbeddingError(f"the embedding model failed: {first_line(error)}") from error
