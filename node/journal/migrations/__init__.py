"""Steps from one version of the journal to the next, run by alembic within the transaction of the caller."""

from pathlib import Path

from sqlalchemy import Connection, delete, insert

from node.journal import schema

_HERE = Path(__file__).parent


def stamp(connection: Connection, version: int) -> None:
    """Note the version of the tables where alembic looks for it; it names its revisions by text: 2 is "0002"."""
    table = schema.alembic_version
    table.create(connection, checkfirst=True)
    connection.execute(delete(table))
    connection.execute(insert(table).values(version_num=f"{version:04}"))


def upgrade(connection: Connection, version: int) -> None:
    """Bring the tables up from `version`."""
    from alembic import command  # noqa: PLC0415 - needed once in the life of a journal, and slow to load
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(_HERE / "steps").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    stamp(connection, version)
    command.upgrade(config, "head")
