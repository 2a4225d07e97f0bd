"""Entries, nodes of the Merkle tree, and checkpoints: rows are added and never changed."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001"
down_revision = None

_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # SQLite's order: that of the bytes


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("seq", _INT, primary_key=True, autoincrement=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("schema", _TEXT, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("hcp", sa.LargeBinary),
        sa.Column("commitment", sa.LargeBinary),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary),
        sqlite_strict=True,
    )
    plain = sa.text("hcp IS NULL")
    op.create_index("entries_by_kind", "entries", ["kind"], sqlite_where=plain, postgresql_where=plain)
    op.create_table(
        "nodes",
        sa.Column("height", _INT, primary_key=True),
        sa.Column("position", _INT, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", _INT, primary_key=True, autoincrement=False),
        sa.Column("batch", _TEXT, nullable=False, unique=True),
        sa.Column("cycle", _TEXT, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("checkpoints_by_cycle", "checkpoints", ["cycle"])
    (_guard_on_sqlite if op.get_bind().dialect.name == "sqlite" else _guard_on_postgresql)()


def _guard_on_sqlite() -> None:
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


def _guard_on_postgresql() -> None:
    """Triggers that fire in every session, replicating ones too. Keys refuse what is taken; a trigger per row would cost an append more than its rows do."""
    op.execute(_function("refuse_change", "BEGIN RAISE EXCEPTION 'the ledger is append-only'; END"))
    op.execute(
        _function(
            "entries_follow",
            "DECLARE low bigint; high bigint; many bigint; BEGIN SELECT min(seq), max(seq), count(*) INTO low, high, many FROM added; "
            "IF many > 0 AND (high - low + 1 <> many OR low <> coalesce((SELECT max(seq) + 1 FROM entries WHERE seq < low), 0) "
            "OR EXISTS (SELECT 1 FROM entries WHERE seq > high)) THEN RAISE EXCEPTION 'the ledger is append-only'; END IF; RETURN NULL; END",
        )
    )
    op.execute(
        _function(
            "checkpoints_follow",
            "BEGIN IF NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoints) THEN RAISE EXCEPTION 'the ledger is append-only'; END IF; RETURN NEW; END",
        )
    )
    for table in ("entries", "nodes", "checkpoints"):
        _trigger(table, "refuse_change", "BEFORE UPDATE OR DELETE", "FOR EACH ROW", "refuse_change")
        _trigger(table, "refuse_truncate", "BEFORE TRUNCATE", "FOR EACH STATEMENT", "refuse_change")
    _trigger("entries", "follow", "AFTER INSERT", "REFERENCING NEW TABLE AS added FOR EACH STATEMENT", "entries_follow")
    _trigger("checkpoints", "follow", "BEFORE INSERT", "FOR EACH ROW", "checkpoints_follow")


def _function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"


def _trigger(table: str, name: str, when: str, each: str, function: str) -> None:
    op.execute(f"CREATE TRIGGER {table}_{name} {when} ON {table} {each} EXECUTE FUNCTION {function}()")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}")
