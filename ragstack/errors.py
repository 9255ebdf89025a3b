"""The errors that ragstack raises on purpose, and what each asks of the reader.

    RagstackError                     everything below; carries a message and a hint
    ├── UsageError                    an argument or an option is wrong (exit code 2)
    ├── ConfigurationError            a settings file or environment variable is wrong (exit code 2)
    ├── MissingExtraError             an optional dependency is not installed
    ├── LoadingError                  one file cannot be turned into text
    ├── EmbeddingError                the embedding model or its output is unusable
    │   ├── ModelNotFoundError        no such model, or no files for it while offline
    │   └── ModelDamagedError         a model file is not the one that was pinned
    ├── StoreError                    the store cannot do what was asked
    │   ├── StoreNotFoundError        there is no store where one is needed
    │   ├── StoreLockedError          another process is writing
    │   ├── StoreVersionError         the store was written by a newer ragstack
    │   ├── StoreDamagedError         stored data fails its own check
    │   ├── EmbedderMismatchError     the store was built with another embedder
    │   └── NotInStoreError           no document, chunk or source of that name
    ├── ArchitectureError             a model description lacks or garbles a field
    ├── BudgetError                   the question and its frame alone exceed the budget
    └── GenerationError               a language model did not answer

`message` says what is wrong in one line without a full stop; `hint` says what to do next.
"""

from __future__ import annotations


class RagstackError(Exception):
    """Base of every error that ragstack raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RagstackError):
    """An argument or an option is wrong."""

    exit_code = 2


class ConfigurationError(RagstackError):
    """A settings file or an environment variable is wrong."""

    exit_code = 2


class MissingExtraError(RagstackError):
    """An optional dependency is not installed.

    `extra` is the name to install: `pip install 'ragstack[extra]'`.
    """

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra `{extra}`",
            hint=f"run `pip install 'ragstack[{extra}]'`",
        )
        self.extra = extra


class LoadingError(RagstackError):
    """One file cannot be turned into text; the message is the reason a user sees."""


class EmbeddingError(RagstackError):
    """The embedding model or its output is unusable."""


class ModelNotFoundError(EmbeddingError):
    """No such model, or no files for it while offline."""


class ModelDamagedError(EmbeddingError):
    """A model file is not the one that was pinned."""


class StoreError(RagstackError):
    """The store cannot do what was asked."""


class StoreNotFoundError(StoreError):
    """There is no store where one is needed."""


class StoreLockedError(StoreError):
    """Another process is writing; the message names its pid."""


class StoreVersionError(StoreError):
    """The store was written by a newer ragstack."""


class StoreDamagedError(StoreError):
    """Stored data fails its own check."""


class EmbedderMismatchError(StoreError):
    """The store was built with another embedder or other chunker settings."""


class NotInStoreError(StoreError):
    """No document, chunk or source of that name is in the store."""


class ArchitectureError(RagstackError):
    """A model description lacks or garbles a field; the message names it."""


class BudgetError(RagstackError):
    """The question and its frame alone exceed the budget, so no passage can be placed."""


class GenerationError(RagstackError):
    """A language model did not answer."""


def first_line(error: Exception) -> str:
    """What a foreign error says, in one line: the first of its message, its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
