"""A key per HCP, and what is remembered of those erased."""

import sqlalchemy as sa
from alembic import op

revision = "vault_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("hcp_id", sa.Text, primary_key=True),
        sa.Column("ref", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,  # row numbers would tell in which order HCPs came, also of those erased
    )
    op.create_table(
        "erased",
        sa.Column("ref", sa.LargeBinary, primary_key=True),
        sa.Column("mac", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("mark", sa.LargeBinary, nullable=False),
        sa.Column("tombstone", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table("secret", sa.Column("mark", sa.LargeBinary, nullable=False), sqlite_strict=True)
