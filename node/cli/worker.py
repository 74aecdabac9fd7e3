"""The command that holds the networks for a node of its own process."""

from node import show
from node.bootstrap.engine import build_worker
from node.cli.options import AsJson, Config
from node.settings import load_settings


def worker(config: Config, as_json: AsJson = False) -> None:
    """Hold the networks on the devices and answer the node's cases at the socket of `model.worker`, until SIGTERM."""
    settings = load_settings(config)
    place = str(settings.model.worker)

    def ready() -> None:
        show.answer({"worker": place}, f"the networks are in memory, a node may ask at {place}", as_json=as_json)

    build_worker(settings).run(ready)
