"""Settings: the example file, the defaults, and complaints that name their key."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.domain.case import OnReject, Order, ReportForm, SegmentationForm, SegmentsOf, Wanted
from node.errors import SettingsError
from node.settings import (
    ClientTlsSettings,
    DicomDestination,
    FolderDestination,
    ListenerTlsSettings,
    PeerSettings,
    Rules,
    Settings,
    StowDestination,
    load_settings,
    parse_settings,
)
from node.settings.web import OidcSettings, TokenSettings, UserSettings, WebTlsSettings

EXAMPLE = Path(__file__).parents[1] / "config" / "cspine-node.toml"
#: A default that is commented out, such as `# quiet_s = 30`.
COMMENTED = re.compile(r"^# ([a-z_]+ = .*)$", re.MULTILINE)
#: A line of a table that the node does without, such as `## [receive.tls]`.
OPTIONAL = re.compile(r"^## (\[.*|[a-z_]+ = .*)$", re.MULTILINE)
ARCHIVE = {"name": "archive", "host": "pacs", "port": 104, "ae_title": "PACS"}
PACS = {"ae_title": "PACS"}
CALLED = {"host": "pacs", "port": 104}
STOW = {"name": "web", "kind": "stow", "url": "http://pacs/dicom-web"}
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
    assert len(COMMENTED.findall(text)) == 60
    assert parse_settings(uncommented, name="uncommented") == load_settings(EXAMPLE)


def test_what_the_example_writes_out_for_the_node_is_the_default():
    parsed, plain = load_settings(EXAMPLE).node, settings().node
    assert (parsed.ae_title, parsed.host, parsed.port) == (plain.ae_title, plain.host, plain.port)


def whole_example() -> dict[str, Any]:
    """The example with everything that it comments out."""
    text = EXAMPLE.read_text(encoding="utf-8")
    return tomllib.loads(OPTIONAL.sub(r"\1", COMMENTED.sub(r"\1", text)))


def test_the_example_names_every_key():
    document = whole_example()
    assert set(document) == set(Settings.model_fields)
    assert set(document["receive"]["tls"]) == set(ListenerTlsSettings.model_fields)
    assert set(document["peer"][0]) == set(PeerSettings.model_fields)
    assert set(document["peer"][0]["tls"]) == set(ClientTlsSettings.model_fields)
    archive, stow, folder = document["destination"]
    assert set(archive) == set(DicomDestination.model_fields)
    assert {*archive, *stow, *folder} | {"tls", "token_file"} >= set(StowDestination.model_fields)
    assert {*folder} == {"name", "kind", "path"}
    assert set(archive["tls"]) == set(ClientTlsSettings.model_fields)
    assert set(document["web"]["tls"]) == set(WebTlsSettings.model_fields)
    assert set(document["web"]["oidc"]) == set(OidcSettings.model_fields)
    assert set(document["web"]["user"][0]) == set(UserSettings.model_fields)
    assert set(document["web"]["token"][0]) == set(TokenSettings.model_fields)
    for name in ("node", "receive", "completeness", "journal", "retention", "model", "work", "log", "web"):
        known = getattr(load_settings(EXAMPLE), name)
        assert set(document[name]) | {"tls"} == set(type(known).model_fields) | {"tls"}, name


def test_the_optional_tables_of_the_example_parse():
    parsed = parse_settings(whole_example(), name="whole")
    assert [type(destination) for destination in parsed.destination] == [
        DicomDestination,
        StowDestination,
        FolderDestination,
    ]
    assert [peer.ae_title for peer in parsed.peer] == ["PACS"]


def test_a_relative_state_folder_starts_at_the_file(tmp_path):
    (tmp_path / "node.toml").write_text('[node]\nstate_dir = "state"\n')
    assert load_settings(tmp_path / "node.toml").node.state_dir == tmp_path / "state"


def test_relative_files_of_tls_and_destinations_start_at_the_file(tmp_path):
    (tmp_path / "node.toml").write_text(
        '[node]\nstate_dir = "s"\n[receive.tls]\ncertificate = "c"\nkey = "/k"\nauthorities = "a"\n'
        '[[destination]]\nname = "f"\nkind = "folder"\npath = "out"\n'
        '[[destination]]\nname = "w"\nkind = "stow"\nurl = "https://w"\ntoken_file = "t"\ntls = {authorities = "ca"}\n'
    )
    parsed = load_settings(tmp_path / "node.toml")
    tls, (folder, stow) = parsed.receive.tls, parsed.destination
    assert (tls.certificate, tls.key, tls.authorities) == (tmp_path / "c", Path("/k"), tmp_path / "a")
    assert (folder.path, stow.token_file, stow.tls.authorities) == (tmp_path / "out", tmp_path / "t", tmp_path / "ca")


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
        ({"nodes": {}}, "nodes: there is no such key"),
        ({"receive": {"timeout": 3}}, "receive.timeout: there is no such key"),
        ({"route": [{"name": "a", "accept": {"planes": "any"}}]}, "route[0].accept.planes: there is no such key"),
        ({"destination": [{**ARCHIVE, "tls": True}]}, "destination[0].tls: Input should be"),
        ({"node": 3}, "node: Input should be"),
        ({"node": {"state_dir": 3}}, "node.state_dir: "),
        ({"node": {"state_dir": "s", "port": "many"}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": "104"}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": True}}, "node.port: Input should be a valid integer"),
        ({"node": {"state_dir": "s", "port": 65536}}, "node.port: Input should be less than or equal to 65535"),
        ({"node": {"state_dir": "s", "ae_title": "SEVENTEEN_LETTERS"}}, "node.ae_title: an AE title has 1 to 16"),
        ({"peer": [PACS, {"ae_title": "A\\B"}]}, "peer[1].ae_title: an AE title has"),
        ({"peer": [PACS, PACS]}, "peer[1].ae_title: 'PACS' stands there twice"),
        ({"peer": [{**PACS, "networks": ["10.1.2.3/24"]}]}, "peer[0].networks[0]: 10.1.2.3/24 has host bits set"),
        ({"peer": [{**PACS, "may": ["query"]}]}, "peer[0].may[0]: Input should be 'store' or 'commit'"),
        ({"peer": [{**PACS, "may": ["commit"]}]}, "peer[0]: host and port are needed for"),
        ({"peer": [{**PACS, **CALLED, "ask_missing": True}]}, "peer[0]: ask_missing needs ask_count"),
        ({"peer": [{**PACS, "certificate": "a"}]}, "peer[0].certificate: is looked at over TLS only"),
        ({"peer": [{**PACS, "tls": {"authorities": "a"}}]}, "peer[0]: tls is for calling it, and needs host and port"),
        (
            {"peer": [{**PACS, **CALLED, "tls": {"authorities": "a", "key": "k"}}]},
            "peer[0].tls: certificate and key come together",
        ),
        ({"receive": {"plain": False}}, "receive: plain = false needs [receive.tls]"),
        ({"receive": {"maximum_connections": 19}}, "receive: maximum_connections is smaller than maximum_assoc"),
        ({"receive": {"tls": {"certificate": "a", "key": "b"}}}, "receive.tls.authorities: Field required"),
        ({"journal": {"url": "mysql://here"}}, "journal.url: String should match pattern"),
        ({"destination": [{"kind": "ftp"}]}, "destination[0]: kind must be"),
        ({"destination": [{**STOW, "url": "https://user:pass@pacs"}]}, "destination[0].url: String should match"),
        ({"destination": [{**STOW, "token_file": "t"}]}, "destination[0]: url: a password or token is sent over https"),
        ({"destination": [{**STOW, "username": "u"}]}, "destination[0]: username and password_file come together"),
        ({"destination": [{**STOW, "confirm": "commitment"}]}, "destination[0].confirm: Input should be 'none' or 'q"),
        ({"destination": [{"name": "a", "kind": "folder"}]}, "destination[0].path: Field required"),
        (
            {"destination": [{**ARCHIVE, "tls": {"authorities": "a", "key": "k"}}]},
            "destination[0].tls: certificate and key come together",
        ),
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
