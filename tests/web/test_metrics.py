"""/metrics: what Prometheus gets, in the format that it asks for, and who may get it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from oracle import write_blocks
from scraped import samples
from starlette.testclient import TestClient
from wired import Node

from node.monitor.figures import FiguresOfNode
from node.monitor.tally import Tally
from node.receive.intake import Intake
from node.settings import parse_settings
from node.web.app import build_app
from node.web.passwords import hash_password
from node.web.site import Site

Opened = Callable[..., TestClient]
RUNNING = FiguresOfNode(
    intake=Intake().counts, connections=lambda: 0, gate=lambda: None, engine_ready=lambda: True, devices=list
)


@pytest.fixture
def open_site(wired_node: Node) -> Iterator[Opened]:
    """Opens the application with other settings of the page, before a node that runs."""
    opened: list[TestClient] = []

    def opening(host: str = "localhost", **web: Any) -> TestClient:
        document: Mapping[str, Any] = {"node": {"state_dir": str(wired_node.state_dir)}, "web": web}
        settings = wired_node.settings.model_copy(update={"web": parse_settings(dict(document), name="test").web})
        site = Site(settings=settings, store=wired_node.journal.store, ask=RUNNING.answer)
        opened.append(TestClient(build_app(site), base_url=f"http://{host}", follow_redirects=False))
        return opened[-1]

    yield opening
    for client in opened:
        client.close()


def test_prometheus_gets_its_text_and_what_it_says_is_so(open_site, wired_node, tmp_path):
    wired_node.receive(write_blocks(tmp_path / "sent"))
    wired_node.settle()
    answer = open_site().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(answer.text)
    assert (found["up"], found["journal_readable"], found['cases{state="delivered"}']) == (1, 1, 1)


def test_openmetrics_is_spoken_to_who_asks_for_it(open_site):
    asked = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    answer = open_site().get("/metrics", headers=asked)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_counters_go_on_from_scrape_to_scrape(open_site, wired_node, tmp_path):
    client = open_site()
    assert samples(client.get("/metrics").text)['cases_ended_total{state="delivered"}'] == 0
    wired_node.receive(write_blocks(tmp_path / "sent"))
    wired_node.settle()
    assert samples(client.get("/metrics").text)['cases_ended_total{state="delivered"}'] == 1
    assert samples(client.get("/metrics").text)['cases_ended_total{state="delivered"}'] == 1


def test_while_a_large_journal_is_counted_the_scraper_is_told_to_come_again(open_site, monkeypatch):
    monkeypatch.setattr(Tally, "catch_up", lambda self, patience_s: False)
    answer = open_site().get("/metrics")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "still being counted" in answer.text


def test_beyond_loopback_a_token_for_metrics_opens_the_metrics_and_nothing_else(open_site, tmp_path):
    token, password = tmp_path / "prometheus.token", tmp_path / "anna.password"
    token.write_text("t" * 43 + "\n")
    password.write_text(hash_password("correct horse battery staple"))
    client = open_site(
        "cspine.hospital",
        url="https://cspine.hospital",
        user=[{"name": "anna", "password_file": str(password)}],
        token=[{"name": "prometheus", "token_file": str(token)}],
    )
    bearer = {"authorization": f"Bearer {'t' * 43}"}
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers=bearer).status_code == 200
    assert client.get("/api/v1/cases", headers=bearer).status_code == 401


def test_nothing_of_a_patient_and_no_uid_is_in_the_metrics(open_site, wired_node, tmp_path):
    files = write_blocks(tmp_path / "sent")
    wired_node.receive(files)
    wired_node.settle()
    text = open_site().get("/metrics").text
    case = wired_node.cases()[0]
    assert case["series_uid"] not in text
    assert case["study_uid"] not in text


@pytest.mark.peer("orthanc")
def test_the_figures_of_a_node_that_runs_come_over_its_control_socket(node, site_url):
    found = samples(httpx.get(f"{site_url}/metrics").text)
    assert (found["up"], found["engine_ready"], found["journal_readable"]) == (1, 1, 1)
    assert found['instances_total{outcome="stored"}'] >= 8 * 6
    assert found["associations_accepted_total"] >= 7
    assert found["received_bytes_total"] > 8 * 6 * 2560
    assert found['cases{state="rejected"}'] >= 1
    assert found['oldest_age_seconds{state="quarantined"}'] > 0
    assert found['case_failures_total{code="slice-gap",outcome="quarantined"}'] >= 1
    assert found['series_rejected_total{reason="region"}'] >= 1
    assert found['deliveries_total{destination="archive",outcome="delivered"}'] >= 4
    assert found['destination_failing_seconds{destination="elsewhere"}'] > 0
    assert found['destination_failing_seconds{destination="archive"}'] == 0
    assert httpx.get(f"{site_url}/readyz").json()["ready"] is True
