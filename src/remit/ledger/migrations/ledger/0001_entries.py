"""Entries, nodes of the Merkle tree, and checkpoints: rows are added and never changed."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("hcp", sa.LargeBinary),
        sa.Column("commitment", sa.LargeBinary),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary),
        sqlite_strict=True,
    )
    op.create_index("entries_by_kind", "entries", ["kind"], sqlite_where=sa.text("hcp IS NULL"))
    op.create_table(
        "nodes",
        sa.Column("height", sa.Integer, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("batch", sa.Text, nullable=False, unique=True),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("checkpoints_by_cycle", "checkpoints", ["cycle"])
    for table in ("entries", "nodes", "checkpoints"):
        for change in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END")
    # INSERT OR REPLACE deletes without asking the triggers above, so a number that is taken is refused here.
    op.execute(
        "CREATE TRIGGER entries_follow BEFORE INSERT ON entries WHEN NEW.seq <> (SELECT coalesce(max(seq) + 1, 0) FROM entries) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    )
    op.execute(
        "CREATE TRIGGER checkpoints_follow BEFORE INSERT ON checkpoints WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoints) "
        "OR EXISTS (SELECT 1 FROM checkpoints WHERE batch = NEW.batch) BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    )
    op.execute(
        "CREATE TRIGGER nodes_follow BEFORE INSERT ON nodes WHEN EXISTS (SELECT 1 FROM nodes WHERE height = NEW.height AND position = NEW.position) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    )
