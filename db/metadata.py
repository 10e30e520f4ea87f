"""What all table definitions share: the naming of constraints, two kinds of column."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

INSTANT = sa.DateTime(timezone=True)


def tenant() -> sa.Column[int]:
    """Return the column that says whose row it is."""
    return sa.Column(
        "tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False
    )
