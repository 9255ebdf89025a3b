"""Runs a real llama.cpp server (from the PyPI package `xllamacpp`) on a tiny model, in a process of its own.

    python llama_server.py MODEL.gguf PORT WINDOW [SLOTS] [KEY]

starts one and stays. The server is llama.cpp's own: streaming, `/props`, `/tokenize`, refusals and all.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_llama_server(
    model: Path, *, window: int, slots: int = 1, key: str = ""
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a server that answers; it is ended afterwards."""
    if find_spec("xllamacpp") is None:
        raise RuntimeError("this needs llama.cpp: run `pip install xllamacpp`")
    port = free_port()
    command = [sys.executable, __file__, str(model), str(port), str(window), str(slots), key]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError("the llama.cpp server did not start")


def serve(model: str, port: int, window: int, slots: int, key: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = window * slots
    parameters.n_parallel = slots
    parameters.fit_params = False
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    if key:
        parameters.api_keys = [key]
    server = xllamacpp.Server(parameters)
    while server is not None:
        time.sleep(3_600)


if __name__ == "__main__":
    path, port, window, *rest = sys.argv[1:]
    slots, key = (*rest, "1", "")[:2] if len(rest) != 1 else (rest[0], "")
    serve(path, int(port), int(window), int(slots), key)
