"""What alembic runs: the steps, on the connection that it was given."""

from alembic import context

from node.journal import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
context.run_migrations()
