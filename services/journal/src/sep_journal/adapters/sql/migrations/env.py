"""Alembic's entry: runs the migrations on the connection that it was given."""

from alembic import context

# Outside a migration, as when a tool imports every module, there is none.
if (config := getattr(context, "config", None)) is not None:
    context.configure(connection=config.attributes["connection"], transactional_ddl=True)
    context.run_migrations()
