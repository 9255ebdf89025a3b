"""Says whether torch could compute on a GPU, without importing torch, which takes seconds.

Asked of the driver, so that a machine with a GPU and no driver counts as one without. What torch then does is
torch's to decide.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path


@cache
def has_gpu() -> bool:
    """Whether the installed torch was built for GPUs of which this machine has one to offer.

    Apple's GPUs do not count: there is no Mac to measure on, and the compiled model needs no torch.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        build = version("torch").partition("+")[2]
    except PackageNotFoundError:
        return False
    if build.startswith("rocm"):
        return Path("/dev/kfd").exists()
    return build != "cpu" and sys.platform != "darwin" and _cuda_devices() > 0


def _cuda_devices() -> int:
    """How many devices the CUDA driver offers to this process (`CUDA_VISIBLE_DEVICES` is obeyed)."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    # CUDA driver API: both return 0 (CUDA_SUCCESS); cuInit fails where there is no device.
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
