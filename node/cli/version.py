"""The command that says which version this is."""

from node import __version__, show
from node.cli.options import AsJson


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    show.answer({"version": __version__}, f"cspine-node {__version__}", as_json=as_json)
