"""An index of the entries that are about HCPs by kind, without those that were declined: these are many, and are asked for within a cycle."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"


def upgrade() -> None:
    about = sa.text("hcp IS NOT NULL AND kind != 'declined'")
    op.create_index("entries_about_hcps", "entries", ["kind"], sqlite_where=about, postgresql_where=about)
