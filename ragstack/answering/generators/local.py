"""A causal language model of Hugging Face's transformers in this process, from files on this disk.

The only module of answering that loads torch. It decodes greedily, token by token, so that text can be shown
as it comes and stopped at once. It downloads nothing and runs no code that came with a model.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ragstack.answering.thoughts import MARKS
from ragstack.errors import GenerationError, first_line
from ragstack.records import GeneratorDescription, Message, Piece

UNFINISHED = "\ufffd"
"""What a tokenizer decodes the first bytes of a character to before the rest of it has come."""


_LONGEST_MARK = 16
"""Tokens of the prompt's end in which a mark of thoughts is looked for; tokenizers that lack it cut it up."""


class LocalGenerator:
    """The model in a folder, or of a repository that was downloaded before; loaded when first needed."""

    def __init__(self, name: str) -> None:
        path = Path(name).expanduser()
        self.name = str(path) if path.is_dir() else name
        self._resident_before = 0

    def __enter__(self) -> LocalGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the model, so that its memory can be freed."""
        self.__dict__.pop("_model", None)

    @property
    def peak_memory(self) -> int | None:
        """Bytes by which this process has grown at most since the model was loaded; None before that.

        On a GPU what torch has allocated there. In main memory rather too many: the peak is that of the
        whole life of the process, libraries included that were imported for the model.
        """
        if "_model" not in self.__dict__:
            return None
        import torch

        if self._model.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return max(0, _most_resident() - self._resident_before)

    @property
    def description(self) -> GeneratorDescription:
        """The folder or the repository's name."""
        return GeneratorDescription(self.name, Path(self.name).name, "")

    def prepare(self) -> None:
        """Read the weights."""
        _ = self._model

    def _not_there(self, error: Exception) -> GenerationError:
        if self.name.lower().endswith(".gguf"):
            return GenerationError(
                f"`{self.name}` is a GGUF file, which transformers does not run",
                hint=f"serve it, as `llama-server -m {self.name}` does, and name `http://localhost:8080`",
            )
        reason = first_line(error)
        return GenerationError(
            f"`{self.name}` is no language model on this machine: {reason}",
            hint="name a folder with a causal model of transformers, or a server's address",
        )

    # ---------------------------------------------------------------------- counting

    @cached_property
    def _tokenizer(self) -> Any:
        from ragstack.embedding.quiet import quiet_libraries

        with quiet_libraries():
            from transformers import AutoTokenizer

            try:
                return AutoTokenizer.from_pretrained(
                    self.name, local_files_only=True, trust_remote_code=False
                )
            except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
                raise self._not_there(error) from error

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt as the model will read it."""
        return len(self._prompt_ids(messages))

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt by the model's chat template; a plain text for a model that has none."""
        if self._tokenizer.chat_template is None:
            text = "\n\n".join(message.content for message in messages) + "\n\n"
            return list(self._tokenizer(text, verbose=False)["input_ids"])
        from jinja2 import TemplateError

        try:
            return self._templated(messages)
        except TemplateError:  # Gemma 2 and others know no system role
            return self._templated([Message("user", "\n\n".join(message.content for message in messages))])

    def _templated(self, messages: Sequence[Message]) -> list[int]:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        encoded = self._tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True
        )
        return list(encoded["input_ids"])

    # -------------------------------------------------------------------- generation

    @cached_property
    def _model(self) -> Any:
        from ragstack.embedding.quiet import quiet_libraries

        self._resident_before = _resident()
        with quiet_libraries():
            import torch
            from transformers import AutoModelForCausalLM

            try:
                model = AutoModelForCausalLM.from_pretrained(
                    self.name, local_files_only=True, trust_remote_code=False, dtype="auto"
                )
            except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
                raise self._not_there(error) from error
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> Generator[Piece, None, None]:
        """The answer token by token, always the likeliest one."""
        prompt = self._prompt_ids(messages)
        ids: list[int] = []
        shown = ""
        opening = self._opened_thoughts(prompt)
        reason = "length"
        try:
            for token in self._tokens(prompt, max_tokens):
                if token in self._ends:
                    reason = "stop"
                    break
                ids.append(token)
                text = self._tokenizer.decode(ids, skip_special_tokens=True)
                if not text.endswith(UNFINISHED) and len(text) > len(shown):
                    yield Piece(opening + text[len(shown) :])
                    shown, opening = text, ""
        except (RuntimeError, MemoryError) as error:
            raise self._failed(error, len(prompt)) from error
        rest = self._tokenizer.decode(ids, skip_special_tokens=True)[len(shown) :]
        yield Piece(rest, finish_reason=reason, prompt_tokens=len(prompt), answer_tokens=len(ids))

    def _opened_thoughts(self, prompt: Sequence[int]) -> str:
        """The mark with which the template itself opens the model's thoughts; empty where it does not."""
        end = str(self._tokenizer.decode(prompt[-_LONGEST_MARK:])).rstrip()
        return next((mark for mark in MARKS if end.endswith(mark)), "")

    def _tokens(self, prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
        """The likeliest continuation; each step reads one token and the cache of all before."""
        import torch

        model = self._model
        inputs = torch.tensor([list(prompt)], device=model.device)
        cache = None
        for _ in range(max_tokens):
            with torch.inference_mode():
                output = model(input_ids=inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            token = int(output.logits[0, -1].argmax())
            yield token
            inputs = torch.tensor([[token]], device=model.device)

    @cached_property
    def _ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        ends = self._model.generation_config.eos_token_id
        listed = ends if isinstance(ends, list) else [ends]
        return frozenset(each for each in (*listed, self._tokenizer.eos_token_id) if each is not None)

    def _failed(self, error: Exception, tokens: int) -> GenerationError:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            return GenerationError(
                f"{self.name} ran out of memory on a prompt of {tokens:,} tokens",
                hint="give `--memory` what the model may use, or choose a smaller model",
            )
        return GenerationError(f"{self.name} failed: {first_line(error)}", hint="check the model's files")


def _resident() -> int:
    """Bytes of this process in memory now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _most_resident() -> int:
    """Bytes of this process in memory at its peak."""
    import psutil

    info = psutil.Process().memory_info()
    if sys.platform == "win32":
        return int(info.peak_wset)
    if sys.platform == "linux":
        # Linux hands `ru_maxrss` on from the process that started this one, however large that was.
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return max(int(info.rss), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
