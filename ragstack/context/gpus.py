"""Published memory, bandwidth and arithmetic of GPUs, as data with its source.

For planning on a card that is not at hand, and for the speed of one that is: the driver says how much of its
memory is free, but not how fast it computes. Nothing here is measured.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from ragstack.context.latency import Speed
from ragstack.errors import UsageError

GB = 10**9

_DATA_SHEET = "NVIDIA's data sheet"
_AMPERE = "NVIDIA Ampere GA102 whitepaper, appendix A"
_ADA = "NVIDIA Ada whitepaper, appendix A"
_BLACKWELL = "NVIDIA RTX Blackwell whitepaper, appendix A"


@dataclass(frozen=True, slots=True)
class PublishedGpu:
    """One card: memory in bytes, bandwidth in bytes a second, dense half-precision FLOP/s, and the source.

    A gigabyte of memory is taken as 10^9 bytes, although the cards have 2^30: what error correction and the
    driver keep comes to about the difference (a T4 of 16 GB reports 15 GiB, an A10 of 24 GB 22.5 GiB). FLOP/s
    are those of the tensor cores with float32 accumulation, without sparsity. `aliases` are further names,
    among them those that the driver gives.
    """

    name: str
    memory: int
    bandwidth: float
    flops: float
    source: str
    aliases: tuple[str, ...] = ()

    @property
    def speed(self) -> Speed:
        """The published peaks, of which inference reaches a share."""
        peaks = f"{self.flops / 1e12:g} TFLOP/s and {self.bandwidth / 1e9:,.0f} GB/s"
        return Speed(self.flops, self.bandwidth, f"published peaks of {self.name}, {peaks} ({self.source})")


def _gpu(
    name: str, gigabytes: int, bandwidth: float, teraflops: float, source: str, *aliases: str
) -> PublishedGpu:
    return PublishedGpu(name, gigabytes * GB, bandwidth * GB, teraflops * 1e12, source, aliases)


PUBLISHED_GPUS = (
    _gpu("H200", 141, 4_800, 989.5, _DATA_SHEET, "H200 SXM"),
    _gpu("H100 SXM", 80, 3_350, 989.5, _DATA_SHEET, "H100", "H100 80GB HBM3"),
    _gpu("H100 PCIe", 80, 2_000, 756, _DATA_SHEET),
    _gpu("A100 80GB", 80, 2_039, 312, _DATA_SHEET, "A100-SXM4-80GB"),
    _gpu("A100 80GB PCIe", 80, 1_935, 312, _DATA_SHEET),
    _gpu("A100 40GB", 40, 1_555, 312, _DATA_SHEET, "A100", "A100-SXM4-40GB", "A100-PCIE-40GB"),
    _gpu("L40S", 48, 864, 362, _DATA_SHEET),
    _gpu("L40", 48, 864, 181, _DATA_SHEET),
    _gpu("L4", 24, 300, 121, _DATA_SHEET),
    _gpu("A40", 48, 696, 149.7, _DATA_SHEET),
    _gpu("A10", 24, 600, 125, _DATA_SHEET, "A10G"),
    _gpu("T4", 16, 320, 65, _DATA_SHEET, "Tesla T4"),
    _gpu("V100", 16, 900, 125, _DATA_SHEET, "Tesla V100-SXM2-16GB", "Tesla V100-SXM2-32GB"),
    _gpu("RTX 5090", 32, 1_792, 209.5, _BLACKWELL),
    _gpu("RTX 4090", 24, 1_008, 165.2, _ADA),
    _gpu("RTX 4080", 16, 716.8, 97.5, _ADA),
    _gpu("RTX 3090", 24, 936.2, 71, _AMPERE),
)


def published_gpu(name: str) -> PublishedGpu | None:
    """The card of that name, as a user or the driver writes it; None for one that is not in the table.

    The whole name must agree: a laptop's or a cut-down card of a similar name is another card.
    """
    return _INDEX.get(_key(name))


def require_gpu(name: str) -> PublishedGpu:
    """Like `published_gpu`; UsageError with the nearest names for one that is not in the table."""
    found = published_gpu(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(_key(name), _INDEX, n=3, cutoff=0.5)
    names = list(dict.fromkeys(_INDEX[key].name for key in near)) or [gpu.name for gpu in PUBLISHED_GPUS]
    listed = ", ".join(f"`{each}`" for each in names)
    raise UsageError(f"`{name}` is no GPU whose numbers ragstack knows", hint=f"use one of {listed}")


def _key(name: str) -> str:
    return re.sub(r"nvidia|geforce|[^a-z0-9]", "", name.lower())


_INDEX = {key: gpu for gpu in PUBLISHED_GPUS for key in (_key(name) for name in (gpu.name, *gpu.aliases))} | {
    _key(gpu.name).removeprefix("rtx"): gpu for gpu in PUBLISHED_GPUS if gpu.name.startswith("RTX")
}
