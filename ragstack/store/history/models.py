"""The schema of a store's history, as SQLAlchemy models; `alembic/history` creates it.

Nothing refers to the documents' database: a document may go while the conversation about it stays. Times are
UTC in ISO 8601; tokens are those of the model that answered.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ragstack.store.models import AUTOINCREMENT, NAMING


class Base(DeclarativeBase):
    """Root of the models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, float: Float}  # noqa: RUF012 - SQLAlchemy reads this attribute as it is


class Conversation(Base):
    """Questions that belong together; a single `ask` is a conversation of one."""

    __tablename__ = "conversations"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[str]


class TurnRow(Base):
    """One question with its answer; `ledger` is the ledger of the prompt as JSON.

    `model` and `endpoint` are empty where no language model wrote the answer.
    """

    __tablename__ = "turns"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE"), index=True
    )
    asked_at: Mapped[str]
    question: Mapped[str]
    standalone: Mapped[str]
    answer: Mapped[str]
    found: Mapped[bool]
    generator: Mapped[str]
    model: Mapped[str]
    endpoint: Mapped[str]
    error: Mapped[str]
    ledger: Mapped[str]
    prompt_tokens: Mapped[int | None]
    predicted_prompt_tokens: Mapped[int | None]
    answer_tokens: Mapped[int | None]
    seconds: Mapped[float | None]
    seconds_to_first_token: Mapped[float | None]
    predicted_seconds_to_first_token: Mapped[float | None]
    tokens_per_second: Mapped[float | None]
    predicted_tokens_per_second: Mapped[float | None]
    memory: Mapped[int | None] = mapped_column(BigInteger)
    predicted_memory: Mapped[int | None] = mapped_column(BigInteger)


class PassageRow(Base):
    """A passage of a turn's prompt with its text; `cited` are the citations of it as JSON."""

    __tablename__ = "turn_passages"

    turn_id: Mapped[int] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int]
    path: Mapped[str]
    content_hash: Mapped[str]
    start: Mapped[int]
    end: Mapped[int]
    place: Mapped[str]
    text: Mapped[str]
    cited: Mapped[str]
