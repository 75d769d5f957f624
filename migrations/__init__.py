"""The schema's history: alembic revisions, up and down, for SQLite and PostgreSQL."""
