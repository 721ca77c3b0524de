"""The journal's tables over SQLAlchemy Core: SQLite or PostgreSQL."""
