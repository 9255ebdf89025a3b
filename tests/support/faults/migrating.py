"""An invented later revision of the schema: it rebuilds a parent table, where migrations lose rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from faults.oracle import check
from ragstack.store import migrations

HEADER = f'''"""Invented by the fault campaign."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{migrations.HEAD}"
branch_labels = None
depends_on = None


'''

REBUILD = """def upgrade():
    number = sa.Column("number", sa.Integer)
    op.create_table("invented", sa.Column("id", sa.Integer, primary_key=True), number)
    op.execute("INSERT INTO invented(id, number) SELECT id, position FROM chunks")
    numbered = {"sqlite_autoincrement": True}
    with op.batch_alter_table("documents", recreate="always", table_kwargs=numbered) as documents:
        documents.add_column(sa.Column("invented", sa.Text, server_default="x", nullable=False))
    op.create_index("ix_invented_number", "invented", ["number"])
"""


@contextmanager
def later_revision(upgrade: str = REBUILD) -> Iterator[None]:
    """Within, this process takes an invented revision for the newest; `upgrade` is what it does."""
    original, head = migrations.script_directory, migrations.HEAD
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(folder) / "alembic"
        shutil.copytree(original(), scripts)
        (scripts / "versions" / "9999_invented.py").write_text(HEADER + upgrade)
        migrations.script_directory, migrations.HEAD = lambda: scripts, "9999"
        try:
            yield
        finally:
            migrations.script_directory, migrations.HEAD = original, head


def check_migrated(directory: Path, allowed: Mapping[str, Sequence[str | None]]) -> None:
    """That the store can be brought to the later revision and has lost nothing on the way."""
    with later_revision():
        check(directory, allowed)
