"""What a scrape says, as Prometheus reads it."""

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from node.monitor.sheet import Sheet


def samples(text: str) -> dict[str, float]:
    """Return every sample of an exposition, as "name{label="value",...}" without the prefix of the node."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            name = sample.name.removeprefix("cspine_node_")
            found[f"{name}{{{labels}}}" if labels else name] = sample.value
    return found


def written(sheet: Sheet | None) -> dict[str, float]:
    """Return every sample of a sheet that is there."""
    assert sheet is not None
    return samples(generate_latest(sheet).decode())
