"""What there is to run a model on: free memory of GPUs and of the host, and the speed of this machine.

Measured when asked, never assumed, and every answer says where it comes from. It asks the driver (NVML) or a
torch that is already imported, never imports torch itself, and takes nothing for itself.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ragstack.context.deployment import Device
from ragstack.context.gpus import published_gpu
from ragstack.context.latency import Speed
from ragstack.errors import UsageError

MIB = 2**20

_UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "kib": 2**10,
    "m": 10**6,
    "mb": 10**6,
    "mib": 2**20,
    "g": 10**9,
    "gb": 10**9,
    "gib": 2**30,
    "t": 10**12,
    "tb": 10**12,
    "tib": 2**40,
}


@dataclass(frozen=True, slots=True)
class AvailableMemory:
    """Bytes that a model may take on `device`, and why it is that many; `name` is a GPU's, where known."""

    bytes: int
    device: Device
    reason: str
    name: str = ""


def parse_memory(text: str) -> int:
    """Bytes of an amount such as `8GB` (10^9), `8GiB` (2^30), `512M` or `8000000000`.

    Raises UsageError for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise UsageError(f"`{text}` is no amount of memory", hint="write it like `8GB`, `8GiB` or `512MB`")
    size = int(float(match.group(1)) * unit)
    if size < 1:
        raise UsageError(f"`{text}` is no memory at all", hint="write it like `8GB`, `8GiB` or `512MB`")
    return size


def available_memory(override: str | None = None, *, device: Device | None = None) -> AvailableMemory:
    """The memory to plan with: `override` if given, else that of the freest GPU, else the host's.

    With `device` only that kind is considered; without a GPU that means the host in either case. Memory of a
    GPU that shares the host's (NVML does not report any then) is the host's.
    """
    gpus = () if device is Device.CPU else gpu_memory()
    freest = max(gpus, key=lambda memory: memory.bytes, default=None)
    if override is not None:
        chosen = device or (Device.GPU if freest else Device.CPU)
        name = freest.name if freest and chosen is Device.GPU else ""
        return AvailableMemory(parse_memory(override), chosen, f"given: {override}", name)
    return freest or host_memory()


# ------------------------------------------------------------------------------ host


def host_memory(root: Path = Path("/")) -> AvailableMemory:
    """What the host can still give: MemAvailable, or what is left of a control group's limit if less.

    Linux reads /proc/meminfo and the cgroup files (version 2 and 1) under `root`; elsewhere psutil asks the
    operating system.
    """
    known = _memory_available(root)
    if known is None:
        psutil: Any = importlib.import_module("psutil")  # it carries no types
        free = int(psutil.virtual_memory().available)
        return AvailableMemory(free, Device.CPU, "available, by the operating system")
    limits = [(known, "MemAvailable of the host"), *_cgroup_limits(root)]
    size, reason = min(limits)
    return AvailableMemory(size, Device.CPU, reason)


def _memory_available(root: Path) -> int | None:
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(match.group(1)) * 1_024 if match else None


def _cgroup_limits(root: Path) -> Iterator[tuple[int, str]]:
    """What each control group above this process leaves; a limit may be set at any level."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _group_limits(mount, path, "memory.max", "memory.current", "inactive_file", 2)
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _group_limits(mount / "memory", path, *names, 1)


def _group_limits(
    mount: Path, path: str, limit_name: str, usage_name: str, reclaimable_name: str, version: int
) -> Iterator[tuple[int, str]]:
    """What a limit leaves, with the file cache that can be dropped, for the group and each above it.

    In a container the path is the host's while the files are at the mount itself, so that is read as well.
    """
    levels = {mount} | {
        mount.joinpath(*level.parts[1:]) for level in [PurePosixPath(path), *PurePosixPath(path).parents]
    }
    for folder in sorted(levels):
        limit, usage = _number(folder / limit_name), _number(folder / usage_name)
        # Version 1 says "no limit" with a number near 2^63.
        if limit is None or usage is None or limit >= 2**60:
            continue
        free = max(0, limit - usage + _reclaimable(folder / "memory.stat", reclaimable_name))
        yield min(free, limit), f"what the cgroup v{version} limit of {limit / 2**30:.1f} GiB leaves"


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _reclaimable(path: Path, name: str) -> int:
    try:
        text = path.read_text()
    except OSError:
        return 0
    match = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0


# ------------------------------------------------------------------------------ GPUs


def gpu_memory() -> tuple[AvailableMemory, ...]:
    """Free memory of every NVIDIA GPU, by NVML, else by a torch that is imported; empty without either."""
    return _nvml_memory() or _torch_memory()


def _torch_memory() -> tuple[AvailableMemory, ...]:
    """By torch.cuda, if the program has imported torch already: its import alone costs seconds."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ()
    found = []
    for index in range(torch.cuda.device_count()):
        free, _ = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        reason = f"free on GPU {index} ({name}), by torch"
        found.append(AvailableMemory(int(free), Device.GPU, reason, name))
    return tuple(found)


class _NvmlMemory(ctypes.Structure):
    """nvmlMemory_t of nvml.h."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


def _nvml_memory(library: str | None = None) -> tuple[AvailableMemory, ...]:
    """By the driver's library; empty when there is no driver, or no answer from it."""
    with _nvml(library) as nvml:
        if nvml is None:
            return ()
        count = ctypes.c_uint()
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return ()
        found = (_nvml_device(nvml, index) for index in range(count.value))
        return tuple(memory for memory in found if memory is not None)


@contextmanager
def _nvml(library: str | None) -> Iterator[Any]:
    """The initialised library, None when it is not there."""
    name = library or ("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    try:
        nvml = ctypes.CDLL(name)
    except OSError:
        yield None
        return
    if nvml.nvmlInit_v2():
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _nvml_device(nvml: Any, index: int) -> AvailableMemory | None:
    """Free memory of one device; None where NVML reports none, as on chips that share the host's memory."""
    device, memory = ctypes.c_void_p(), _NvmlMemory()
    name = ctypes.create_string_buffer(96)
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)):
        return None
    if nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) or not memory.total:
        return None
    nvml.nvmlDeviceGetName(device, name, ctypes.c_uint(len(name)))
    label = name.value.decode("utf-8", "replace")
    return AvailableMemory(int(memory.free), Device.GPU, f"free on GPU {index} ({label}), by NVML", label)


# ----------------------------------------------------------------------------- speed

# Floating-point operations of one core in one cycle, float32: two fused multiply-adds of 8 numbers each
# (AVX2, and AVX-512 where a core has no second unit for it), of 4 (NEON, or SSE without the fusion).
_OPERATIONS_PER_CYCLE = {"avx2": 32, "asimd": 16, "sse2": 8}
_COPIED = 32 * MIB


def machine_speed(memory: AvailableMemory) -> Speed | None:
    """The speed of what `memory` lies on; None for a GPU that is not known.

    Of a GPU the published peaks, by the name that the driver gives it. Of the host the bandwidth is measured
    by a copy of 32 MiB, shared out to the processors, and the arithmetic is what the processors' clock and
    vector units could reach: a tenth of a second. Where the system does not tell those, and in
    `measure_speed`, both are measured, which takes longer and needs numpy.
    """
    if memory.device is Device.GPU:
        published = published_gpu(memory.name)
        return published.speed if published else None
    peak = processor_peak()
    if peak is None:
        return measure_speed()
    flops, reason = peak
    bandwidth = _copy_bandwidth()
    reason = f"{reason}; {bandwidth / 1e9:.0f} GB/s measured by copying"
    return Speed(flops, bandwidth, reason, bandwidth_efficiency=1.0)


def processor_peak(root: Path = Path("/")) -> tuple[float, str] | None:
    """FLOP/s (float32) that the processors could reach, from Linux' description of them, with the reason.

    Cores that this process may use, times clock, times operations per cycle of the widest vector unit; None
    where the system does not say.
    """
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return None
    clock = re.search(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags.group(1).split()) if flags else set()
    unit = next((name for name in _OPERATIONS_PER_CYCLE if name in known), None)
    if clock is None or unit is None:
        return None
    cores, megahertz = usable_processors(), float(clock.group(1))
    flops = cores * megahertz * 1e6 * _OPERATIONS_PER_CYCLE[unit]
    parts = f"{cores} cores x {megahertz / 1e3:.2f} GHz x {_OPERATIONS_PER_CYCLE[unit]} ({unit})"
    return flops, f"{flops / 1e9:.0f} GFLOP/s, assumed: {parts}"


def usable_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _copy_bandwidth(copied: int = _COPIED, rounds: int = 2) -> float:
    """Bytes a second read and written while all usable processors copy their share of `copied` bytes.

    `ctypes.memmove` lets other threads run, so no library is needed. The best of `rounds` counts.
    """
    workers = min(usable_processors(), 8)
    share = copied // workers
    pairs = [(ctypes.create_string_buffer(share), ctypes.create_string_buffer(share)) for _ in range(workers)]

    def copy_all() -> None:
        threads = [threading.Thread(target=ctypes.memmove, args=(*pair, share)) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return 2 * share * workers / _best_seconds(copy_all, rounds)


def measure_speed(*, size: int = 1_024, copied: int = 64 * MIB, rounds: int = 3) -> Speed:
    """Floating-point operations and bytes a second of this processor, by two short measurements in numpy.

    A float32 product of two `size` x `size` matrices counts 2 size^3 operations; a copy of `copied` bytes
    moves twice that. The best of `rounds` is taken, after one to warm up: under a second. Both are
    what BLAS and memory really do, so the efficiency of arithmetic is 1 and that of traffic 1. GPUs are not
    measured: time two prompts with `latency.calibrate_prefill` instead.
    """
    import numpy as np

    generator = np.random.default_rng(0)
    left, right = (generator.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    source = np.ones(copied, dtype=np.uint8)
    target = np.empty_like(source)
    compute = _best_seconds(lambda: np.matmul(left, right, out=product), rounds)
    copying = _best_seconds(lambda: np.copyto(target, source), rounds)
    flops, bandwidth = 2 * size**3 / compute, 2 * copied / copying
    reason = (
        f"measured here: {flops / 1e9:.0f} GFLOP/s in a float32 product, {bandwidth / 1e9:.1f} GB/s copying"
    )
    return Speed(flops, bandwidth, reason, compute_efficiency=1.0, bandwidth_efficiency=1.0)


def _best_seconds(work: Any, rounds: int) -> float:
    work()
    best = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best
