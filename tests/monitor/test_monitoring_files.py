"""What config/monitoring and docs/monitoring.md say is of metrics that exist, and Prometheus understands it."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from oracle import write_blocks
from peers import program
from prometheus_client.exposition import generate_latest
from wired import Node

from node.monitor.catalogue import METRICS, Kind
from node.monitor.figures import FiguresOfNode
from node.monitor.scrape import Scraper
from node.receive.intake import AssociationRefusal, ConnectionRefusal, InstanceEnd, InstanceRefusal, Intake
from node.segment.devices import Device

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "monitoring"
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text()
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]

#: Sample -> its metric: a histogram has three kinds of samples.
SAMPLES = {
    f"{metric.name}{ending}": metric
    for metric in METRICS
    for ending in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
}
#: Labels that Prometheus or the histogram adds.
EVERYWHERE = {"instance", "job", "le"}
needs_promtool = pytest.mark.peer("promtool")


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression with what stands beside it: its panel and legend, or its alert."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], f"{panel['title']} {target['legendFormat']}"
    for rule in RULES:
        yield rule["expr"], f"{rule['alert']} {rule['annotations']}"


def named(text: str) -> set[str]:
    return set(re.findall(r"\bcspine_node_[a-z_]+\b", text))


def labels_of(expression: str, beside: str) -> set[str]:
    """Return the labels that an expression selects or groups by, and that its legend or text shows."""
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    shown = re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", beside)
    return {label.strip() for part in grouped for label in part.split(",")} | set(selected) | set(shown)


@pytest.mark.parametrize(("expression", "beside"), list(expressions()))
def test_an_expression_asks_for_samples_and_labels_that_exist(expression, beside):
    asked = named(expression)
    assert asked <= set(SAMPLES) or asked <= {"up"}
    known = {label for name in asked for label in SAMPLES[name].labels}
    assert labels_of(expression, beside) <= known | EVERYWHERE


def test_every_metric_is_on_the_dashboard_and_in_the_document():
    asked = {SAMPLES[name].name for panel in panels() for target in panel["targets"] for name in named(target["expr"])}
    assert {metric.name for metric in METRICS} - asked == set()
    told = {row.split("`")[1]: row for row in DOCUMENT.splitlines() if row.startswith("| `cspine_node_")}
    assert set(told) == {metric.name for metric in METRICS}
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert told[metric.name] == f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        ("- connections:", ConnectionRefusal),
        ("- associations:", AssociationRefusal),
        ("- instances:", InstanceRefusal),
        ("What became of those", InstanceEnd),
    ],
)
def test_every_reason_at_the_door_is_explained(head, kinds):
    (explained,) = [part for part in re.split(r"\n(?=- )|\n\n", DOCUMENT) if part.startswith(head)]
    assert {kind.value for kind in kinds} - set(re.findall(r"`([a-z-]+)`", explained)) == set()


def test_every_alert_is_explained_and_nothing_else_is():
    explained = re.findall(r"^\| `(Cspine\w+)` \| (\w+) \|", DOCUMENT, re.MULTILINE)
    assert explained == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]
    assert {severity for _, severity in explained} == {"critical", "warning", "info"}


def test_panels_have_a_number_of_their_own_and_lie_beside_each_other():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_dashboard_asks_whatever_prometheus_it_is_given():
    sources = {json.dumps(target["datasource"]) for panel in panels() for target in panel["targets"]}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "instance"]


def promtool(*arguments: str | Path, text: str | None = None) -> None:
    """Run promtool; what it complains about fails the test."""
    found = program("promtool")
    assert found is not None
    done = subprocess.run([found, *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_rules_and_its_configuration(tmp_path):
    for name in ("alerts.yaml", "prometheus.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    (tmp_path / "cspine-node.token").write_text("token")
    promtool("check", "rules", tmp_path / "alerts.yaml")
    promtool("check", "config", tmp_path / "prometheus.yaml")


@needs_promtool
def test_the_rules_raise_the_alerts_that_they_should():
    promtool("test", "rules", Path(__file__).with_name("alerts.test.yaml"))


@needs_promtool
def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"dashboard:{number}", "expr": re.sub(r"\$__rate_interval", "5m", target["expr"])}
        for number, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", file)


@needs_promtool
def test_prometheus_finds_nothing_to_say_about_the_names(tmp_path):
    node = Node(tmp_path / "state")
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    device = Device(index=0, name="H200", used=1, size=2, utilization=0.5)
    figures = FiguresOfNode(
        intake=Intake().counts,
        connections=lambda: 0,
        gate=lambda: None,
        engine_ready=lambda: True,
        devices=lambda: [device],
    )
    sheet = Scraper(node.settings, node.journal.store, figures.answer).scrape()
    node.journal.close()
    assert sheet is not None
    promtool("check", "metrics", text=generate_latest(sheet).decode())
