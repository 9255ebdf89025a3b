"""Free memory and speed: what the operating system, a control group, a driver or the user says, and why."""

from __future__ import annotations

import shutil
import subprocess
import sys
import types

import pytest

from ragstack.context import hardware
from ragstack.context.deployment import Device
from ragstack.context.hardware import (
    AvailableMemory,
    available_memory,
    host_memory,
    machine_speed,
    measure_speed,
    parse_memory,
    processor_peak,
    usable_processors,
)
from ragstack.errors import UsageError

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("8GiB", 8 * GIB),
        ("8 gb", 8 * 10**9),
        ("1.5GiB", 3 * GIB // 2),
        ("512MB", 512 * 10**6),
        ("512m", 512 * 10**6),
        ("2T", 2 * 10**12),
        ("8000000000", 8 * 10**9),
        ("100 B", 100),
    ],
)
def test_amounts_of_memory_are_decimal_or_binary_as_written(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "8XB", "-8GB", "8GB8", "eight", "0GB", "1e9", "nan"])
def test_what_is_no_amount_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        parse_memory(text)
    assert "8GB" in caught.value.hint


def test_an_override_is_taken_at_its_word():
    memory = available_memory("8GB", device=Device.CPU)
    assert (memory.bytes, memory.device, memory.reason) == (8 * 10**9, Device.CPU, "given: 8GB")


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


MEMINFO = "MemTotal:       32000000 kB\nMemFree:         1000000 kB\nMemAvailable:   16777216 kB\n"


def test_a_host_without_limits_gives_what_is_available_and_not_what_is_free(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    memory = host_memory(tmp_path)
    assert (memory.bytes, memory.reason) == (16 * GIB, "MemAvailable of the host")


def test_a_version_2_limit_holds_at_the_level_where_it_is_set(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "0::/user.slice/session/inner\n")
    write(tmp_path, "sys/fs/cgroup/user.slice/memory.max", f"{4 * GIB}\n")
    write(tmp_path, "sys/fs/cgroup/user.slice/memory.current", f"{3 * GIB}\n")
    write(tmp_path, "sys/fs/cgroup/user.slice/memory.stat", f"anon 5\ninactive_file {GIB // 2}\n")
    write(tmp_path, "sys/fs/cgroup/user.slice/session/inner/memory.max", "max\n")
    memory = host_memory(tmp_path)
    assert (memory.bytes, memory.reason) == (3 * GIB // 2, "what the cgroup v2 limit of 4.0 GiB leaves")


def test_a_container_s_limit_is_read_at_the_mount_itself(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "0::/docker/3f2a/of/the/host\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", f"{2 * GIB}\n")
    write(tmp_path, "sys/fs/cgroup/memory.current", f"{GIB}\n")
    assert host_memory(tmp_path).bytes == GIB


def test_a_version_1_limit_counts_and_its_word_for_none_does_not(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/jobs/7\n")
    folder = "sys/fs/cgroup/memory"
    write(tmp_path, f"{folder}/memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path, f"{folder}/memory.usage_in_bytes", "1000\n")
    write(tmp_path, f"{folder}/jobs/7/memory.limit_in_bytes", f"{8 * GIB}\n")
    write(tmp_path, f"{folder}/jobs/7/memory.usage_in_bytes", f"{6 * GIB}\n")
    write(tmp_path, f"{folder}/jobs/7/memory.stat", f"total_inactive_file {GIB}\n")
    memory = host_memory(tmp_path)
    assert (memory.bytes, memory.reason) == (3 * GIB, "what the cgroup v1 limit of 8.0 GiB leaves")


def test_a_limit_above_what_the_host_has_does_not_bind(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", f"{64 * GIB}\n")
    write(tmp_path, "sys/fs/cgroup/memory.current", "0\n")
    assert host_memory(tmp_path).reason == "MemAvailable of the host"


def test_a_full_control_group_leaves_nothing(tmp_path):
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", f"{GIB}\n")
    write(tmp_path, "sys/fs/cgroup/memory.current", f"{GIB + 4_096}\n")
    assert host_memory(tmp_path).bytes == 0


def test_without_proc_the_operating_system_is_asked(tmp_path):
    memory = host_memory(tmp_path)
    assert memory.bytes > 0
    assert memory.reason == "available, by the operating system"


def test_this_machine_has_memory():
    memory = available_memory()
    assert memory.bytes > 0
    assert memory.reason


NVML = r"""
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(long)(index + 1);
    return 0;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    strncpy(name, "Some GPU", length);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    long index = (long)device - 1;
    if (index == 1) return 3; /* NVML_ERROR_NOT_SUPPORTED: a chip that shares the host's memory */
    memory->total = 24ULL << 30;
    memory->free = (index == 0 ? 5ULL : 20ULL) << 30;
    memory->used = memory->total - memory->free;
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="needs a C compiler")
def test_the_driver_s_library_is_asked_through_its_real_interface(tmp_path):
    """A library with NVML's functions stands in for the driver, which this machine may not have."""
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvml.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    found = hardware._nvml_memory(str(library))
    assert [(memory.bytes, memory.reason) for memory in found] == [
        (5 * GIB, "free on GPU 0 (Some GPU), by NVML"),
        (20 * GIB, "free on GPU 2 (Some GPU), by NVML"),
    ]


def test_without_a_driver_there_is_no_gpu(tmp_path):
    assert hardware._nvml_memory(str(tmp_path / "nothing.so")) == ()


def test_a_torch_that_is_imported_already_is_asked(monkeypatch):
    cuda = types.SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        mem_get_info=lambda index: (6 * GIB, 8 * GIB),
        get_device_name=lambda index: "Some GPU",
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(hardware, "_nvml_memory", lambda: ())
    memory = available_memory()
    assert (memory.bytes, memory.device) == (6 * GIB, Device.GPU)
    assert available_memory("4GB").device is Device.GPU
    assert available_memory(device=Device.CPU).device is Device.CPU


def test_asking_for_memory_imports_no_torch():
    code = (
        "import sys; from ragstack.context.hardware import available_memory; available_memory();"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_speed_is_measured_and_says_how():
    speed = measure_speed(size=128, copied=2**20, rounds=1)
    assert speed.flops > 0
    assert speed.bandwidth > 0
    assert "measured here" in speed.reason
    assert speed.seconds(speed.flops, 0) == pytest.approx(1)
    assert speed.seconds(0, 2 * speed.bandwidth) == pytest.approx(2)


def test_the_peak_of_processors_is_cores_times_clock_times_vector_width(tmp_path):
    (tmp_path / "proc").mkdir()
    flags = "flags\t\t: fpu sse2 avx avx2 avx512f\n"
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\ncpu MHz\t\t: 2500.000\n{flags}")
    flops, reason = processor_peak(tmp_path)
    assert flops == usable_processors() * 2.5e9 * 32
    assert "assumed" in reason
    assert "2.50 GHz x 32 (avx2)" in reason


@pytest.mark.parametrize(
    "text", ["", "cpu MHz\t: 2500\n", "flags\t: avx2\n", "Features : asimd\nBogoMIPS : 50\n"]
)
def test_a_system_that_does_not_describe_its_processors_has_no_known_peak(tmp_path, text):
    assert processor_peak(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert processor_peak(tmp_path) is None


def test_where_the_peak_is_not_known_both_speeds_are_measured(monkeypatch):
    monkeypatch.setattr("ragstack.context.hardware.processor_peak", lambda: None)
    speed = machine_speed(AvailableMemory(2**30, Device.CPU, "a test"))
    assert speed.reason.startswith("measured here: ")
    assert speed.compute_efficiency == 1


def test_the_bandwidth_of_the_host_is_measured_and_its_arithmetic_assumed(monkeypatch):
    monkeypatch.setattr("ragstack.context.hardware.processor_peak", lambda: (5e10, "50 GFLOP/s, assumed"))
    speed = machine_speed(AvailableMemory(2**30, Device.CPU, "a test"))
    assert (speed.flops, speed.bandwidth_efficiency) == (5e10, 1)
    assert 1e8 < speed.bandwidth < 1e13
    assert speed.reason.endswith("GB/s measured by copying")


def test_a_gpu_has_the_speed_that_is_published_of_its_name_or_none():
    known = AvailableMemory(2**30, Device.GPU, "a test", "NVIDIA H100 80GB HBM3")
    assert machine_speed(known).flops == 989.5e12
    assert machine_speed(AvailableMemory(2**30, Device.GPU, "a test", "another")) is None
