"""The command that runs the node."""

from node import show
from node.bootstrap.live import build_service
from node.cli.options import AsJson, Config
from node.settings import load_settings


def serve(config: Config, as_json: AsJson = False) -> None:
    """Listen for series and send their results back, until SIGTERM."""
    settings = load_settings(config)
    service, journal = build_service(settings)

    def ready(port: int) -> None:
        node = settings.node
        show.answer(
            {"ae_title": node.ae_title, "host": node.host, "port": port, "state_dir": str(node.state_dir)},
            f"{node.ae_title} listens on {node.host}:{port}, state in {node.state_dir}",
            as_json=as_json,
        )

    try:
        service.run(ready)
    finally:
        journal.close()
