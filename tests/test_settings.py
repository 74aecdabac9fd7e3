"""Settings: the example file, the defaults, and complaints that name their key."""

import re
import tomllib
from pathlib import Path

import pytest

from node.domain.case import OnReject, Order, ReportForm, SegmentationForm, SegmentsOf, Wanted
from node.errors import SettingsError
from node.settings import Rules, Settings, load_settings, parse_settings

EXAMPLE = Path(__file__).parents[1] / "config" / "cspine-node.toml"
#: A default that is commented out, such as `# quiet_s = 30`.
COMMENTED = re.compile(r"^# ([a-z_]+ = .*)$", re.MULTILINE)
ARCHIVE = {"name": "archive", "host": "pacs", "port": 104, "ae_title": "PACS"}
FEWEST = {"node": {"state_dir": "/state"}, "destination": [ARCHIVE]}


def settings(**sections: object) -> Settings:
    return parse_settings({**FEWEST, **sections}, name="file.toml")


def complaints(**sections: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings(**sections)
    return str(caught.value).splitlines()


def test_the_example_parses():
    parsed = load_settings(EXAMPLE)
    assert parsed.node.ae_title == "CSPINE"
    assert parsed.node.state_dir == Path("/var/lib/cspine-node")
    assert [route.name for route in parsed.route] == ["cervical-t2-sagittal"]
    assert [(peer.name, peer.port) for peer in parsed.destination] == [("archive", 4242)]


def test_the_rules_of_the_example_are_the_defaults_and_none_is_left_out():
    (route,) = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))["route"]
    assert load_settings(EXAMPLE).route[0].accept == Rules()
    assert set(route["accept"]) == set(Rules.model_fields)


def test_what_the_example_comments_out_is_the_default():
    text = EXAMPLE.read_text(encoding="utf-8")
    uncommented = tomllib.loads(COMMENTED.sub(r"\1", text))
    assert len(COMMENTED.findall(text)) == 33
    assert parse_settings(uncommented, name="uncommented") == load_settings(EXAMPLE)


def test_what_the_example_writes_out_for_the_node_is_the_default():
    parsed, plain = load_settings(EXAMPLE).node, settings().node
    assert (parsed.ae_title, parsed.host, parsed.port) == (plain.ae_title, plain.host, plain.port)


def test_the_example_names_every_key():
    document = tomllib.loads(COMMENTED.sub(r"\1", EXAMPLE.read_text(encoding="utf-8")))
    assert set(document) == set(Settings.model_fields)
    for name, section in document.items():
        known = getattr(load_settings(EXAMPLE), name)
        if isinstance(section, list):
            assert set(section[0]) == set(type(known[0]).model_fields), name
        else:
            assert set(section) == set(type(known).model_fields), name


def test_a_relative_state_folder_starts_at_the_file(tmp_path):
    (tmp_path / "node.toml").write_text('[node]\nstate_dir = "state"\n')
    assert load_settings(tmp_path / "node.toml").node.state_dir == tmp_path / "state"


def test_a_tilde_in_the_state_folder_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "node.toml").write_text('[node]\nstate_dir = "~/state"\n')
    assert load_settings(tmp_path / "node.toml").node.state_dir == tmp_path / "home" / "state"


def test_a_home_folder_that_does_not_exist_is_a_complaint(tmp_path):
    (tmp_path / "node.toml").write_text('[node]\nstate_dir = "~no-such-user-here/state"\n')
    with pytest.raises(SettingsError, match=r"node\.toml: node\.state_dir, model\.bundle: "):
        load_settings(tmp_path / "node.toml")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[node\n", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (b"[node]\nport = 1\nport = 2\n", "not TOML"),
        (b"", "node: Field required"),
        (b"[node]\n", "node.state_dir: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, complaint):
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^{re.escape(f'{path}: {complaint}')}"):
        load_settings(path)


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(SettingsError, match=re.escape(str(tmp_path / name))):
        load_settings(tmp_path / name)


@pytest.mark.parametrize(
    ("sections", "start"),
    [
        ({"nodes": {}}, "nodes: Extra inputs are not permitted"),
        ({"receive": {"timeout": 3}}, "receive.timeout: Extra inputs are not permitted"),
        ({"route": [{"name": "a", "accept": {"planes": "any"}}]}, "route[0].accept.planes: Extra inputs"),
        ({"destination": [{**ARCHIVE, "tls": True}]}, "destination[0].tls: Extra inputs are not permitted"),
        ({"node": 3}, "node: Input should be"),
        ({"node": {"state_dir": 3}}, "node.state_dir: "),
        ({"node": {"state_dir": "s", "port": "many"}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": "104"}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": True}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": 65536}}, "node.port: Input should be less than or equal to 65535"),
        ({"node": {"state_dir": "s", "ae_title": "SEVENTEEN_LETTERS"}}, "node.ae_title: an AE title has 1 to 16"),
        ({"receive": {"calling_ae_titles": ["PACS", "A\\B"]}}, "receive.calling_ae_titles[1]: an AE title has"),
        ({"receive": {"calling_ae_titles": "PACS"}}, "receive.calling_ae_titles: Input should be a valid tuple"),
        ({"receive": {"maximum_associations": 0}}, "receive.maximum_associations: Input should be greater"),
        ({"completeness": {"quiet_s": -1}}, "completeness.quiet_s: Input should be greater"),
        ({"completeness": {"quiet_s": float("nan")}}, "completeness.quiet_s: Input should be greater"),
        ({"completeness": {"quiet_s": "30"}}, "completeness.quiet_s: Input should be a valid number"),
        ({"model": {"mirroring": "no"}}, "model.mirroring: Input should be a valid boolean"),
        ({"model": {"device": "tpu"}}, "model.device: String should match pattern"),
        ({"work": {"attempts": 1.5}}, "work.attempts: Input should be a valid integer"),
        ({"log": {"level": "loud"}}, "log.level: Input should be"),
        ({"route": []}, "route: at least one route is needed"),
        ({"route": [{"name": "a b"}]}, "route[0].name: String should match pattern"),
        (
            {"route": [{"name": "a", "accept": {"region": ["cerv", "(neck"]}}]},
            "route[0].accept.region[1]: not a regular expression: missing )",
        ),
        (
            {"route": [{"name": "a"}, {"name": "b", "accept": {"exclude_description": ["*"]}}]},
            "route[1].accept.exclude_description[0]: not a regular expression",
        ),
        ({"route": [{"name": "a", "accept": {"fat_suppression": 0}}]}, "route[0].accept.fat_suppression: "),
        ({"route": [{"name": "a"}, {"name": "a"}]}, "route[1].name: 'a' stands there twice"),
        ({"destination": [ARCHIVE, ARCHIVE]}, "destination[1].name: 'archive' stands there twice"),
        (
            {"route": [{"name": "a", "destinations": ["archive", "pacs"]}]},
            "route[0].destinations[1]: no [[destination]] has the name 'pacs'",
        ),
        (
            {"route": [{"name": "a", "destinations": ["archive", "archive"]}]},
            "route[0].destinations[1]: 'archive' stands there twice",
        ),
        ({"destination": [{**ARCHIVE, "port": 0}]}, "destination[0].port: Input should be greater"),
        ({"destination": [{**ARCHIVE, "retry_delay_s": 0}]}, "destination[0].retry_delay_s: Input should be greater"),
        (
            {"destination": [{**ARCHIVE, "segmentation": "palette"}]},
            "destination[0].segmentation: Input should be 'binary', 'labelmap' or 'fractional'",
        ),
        (
            {"destination": [{**ARCHIVE, "report": "basic"}]},
            "destination[0].report: Input should be 'comprehensive-3d', 'comprehensive' or 'enhanced'",
        ),
        (
            {"destination": [{**ARCHIVE, "key_images": "yes"}]},
            "destination[0].key_images: Input should be a valid bool",
        ),
        (
            {"route": [{"name": "a", "segments": "levels"}]},
            "route[0].segments: Input should be 'structures' or 'classes'",
        ),
        ({"route": [{"name": "a", "on_reject": "send"}]}, "route[0].on_reject: Input should be 'nothing' or 'report'"),
    ],
)
def test_a_wrong_key_is_named_with_its_full_path(sections, start):
    (complaint,) = complaints(**sections)
    assert complaint.startswith(f"file.toml: {start}")


def test_every_wrong_key_has_a_line_of_its_own():
    assert [line.split(": ")[1] for line in complaints(model={"threads": -1, "x": 1}, work={"attempts": 0})] == [
        "model.threads",
        "model.x",
        "work.attempts",
    ]
    twice = [{"name": "a", "destinations": ["x"]}, {"name": "a", "destinations": ["y"]}]
    assert [line.split(": ")[1] for line in complaints(route=twice)] == [
        "route[1].name",
        "route[0].destinations[0]",
        "route[1].destinations[0]",
    ]


def test_without_routes_there_is_the_one_that_the_node_exists_for():
    (route,) = settings().route
    assert (route.name, route.accept, route.destinations) == ("cervical-t2-sagittal", Rules(), ())


def test_an_order_has_every_form_that_a_destination_of_the_route_takes_and_no_other():
    plain = {"name": "plain"}
    picky = {"name": "picky", "segmentation": "labelmap", "report": "enhanced", "key_images": True}
    other = {"name": "other", "segmentation": "fractional", "report": "comprehensive"}
    parsed = settings(
        destination=[{**ARCHIVE, **own} for own in (plain, picky, other)],
        route=[{"name": "a", "destinations": ["plain", "picky"], "segments": "classes", "on_reject": "nothing"}],
    )
    assert parsed.order(parsed.route[0]) == Order(
        segments=SegmentsOf.CLASSES,
        on_reject=OnReject.NOTHING,
        wanted=frozenset(
            {
                Wanted(),
                Wanted(segmentation=SegmentationForm.LABELMAP, report=ReportForm.ENHANCED, key_images=True),
            }
        ),
    )


def test_a_route_without_destinations_orders_the_default_forms():
    parsed = settings()
    assert parsed.order(parsed.route[0]) == Order() == Order(wanted=frozenset({Wanted()}))


def test_settings_do_not_change_after_parsing():
    parsed = settings()
    with pytest.raises(ValueError, match="frozen"):
        parsed.work.attempts = 9
    assert parsed.work.attempts == 3
