"""Keeps model libraries from writing to the terminal while they are imported and while they load.

They print progress bars, load reports and advice to stderr, which belongs to the user. Their errors still
pass, as exceptions. Every setting that is changed is put back afterwards.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

_LOGGERS = ("sentence_transformers", "transformers", "huggingface_hub", "httpx", "httpx2")


@contextlib.contextmanager
def quiet_libraries(*, bars: bool = False) -> Iterator[None]:
    """Within this context the model libraries log only errors, and draw progress bars only if `bars`.

    Transformers sets its own level when it is imported, so import and use need a context each.
    """
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        if not bars:
            stack.enter_context(_no_hub_bars())
            stack.enter_context(_no_transformers_bars())
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _no_hub_bars() -> Iterator[None]:
    import huggingface_hub.utils

    # Untyped, as the module names these functions at run time only.
    switches: Any = huggingface_hub.utils
    if switches.are_progress_bars_disabled():
        yield
        return
    switches.disable_progress_bars()
    try:
        yield
    finally:
        switches.enable_progress_bars()


@contextlib.contextmanager
def _no_transformers_bars() -> Iterator[None]:
    if "transformers" not in sys.modules:
        yield
        return
    from transformers.utils import logging as transformers_logging

    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()
