"""`[[pull]]`: what may stand there, and what stands in the example."""

import re
import tomllib
from pathlib import Path

import pytest

from node.errors import SettingsError
from node.settings import PullSettings, parse_settings

EXAMPLE = Path(__file__).parents[2] / "config" / "cspine-node.toml"
ARCHIVE = {"name": "archive", "host": "pacs", "port": 104, "ae_title": "PACS"}
PULL = {"name": "nightly", "archive": "archive"}


def parsed(**keys):
    document = {"node": {"state_dir": "s"}, "destination": [ARCHIVE], "pull": [{**PULL, **keys}]}
    return parse_settings(document, name="file").pull[0]


def test_the_example_names_every_key_with_its_default():
    text = re.sub(r"^## ", "", EXAMPLE.read_text(encoding="utf-8").partition("## [[pull]]")[2], flags=re.MULTILINE)
    table = tomllib.loads("[[pull]]" + text.partition("\n\n")[0])["pull"][0]
    assert set(table) == set(PullSettings.model_fields)
    assert PullSettings(**table) == PullSettings(name="nightly", archive="archive")


def test_a_peer_with_host_and_port_or_a_dicomweb_server_may_be_asked():
    peers = [{"ae_title": "SCANNER", "host": "mr", "port": 104}, {"ae_title": "SILENT"}]
    web = {"name": "web", "kind": "stow", "url": "http://pacs/dicom-web"}
    folder = {"name": "folder", "kind": "folder", "path": "f"}

    def accepts(archive):
        pulls = [{"name": "nightly", "archive": archive}]
        document = {"node": {"state_dir": "s"}, "peer": peers, "destination": [web, folder], "pull": pulls}
        return parse_settings(document, name="file").pull[0].archive

    assert [accepts(name) for name in ("SCANNER", "web")] == ["SCANNER", "web"]
    for name in ("SILENT", "folder", "nobody"):
        with pytest.raises(SettingsError, match=re.escape(f"pull[0].archive: '{name}' is no [[destination]]")):
            accepts(name)


PACS = {"host": "pacs", "port": 104, "ae_title": "PACS"}
TLS = {"authorities": "hospital.pem"}


@pytest.mark.parametrize(
    ("peer", "destination", "agree"),
    [
        (PACS, PACS, True),
        ({"ae_title": "PACS"}, PACS, True),
        (PACS, {"kind": "folder", "path": "f"}, True),
        (PACS | {"host": "other"}, PACS, False),
        (PACS | {"port": 105}, PACS, False),
        (PACS, PACS | {"tls": TLS}, False),
        (PACS | {"tls": TLS}, PACS | {"tls": TLS}, True),
        (PACS, {"kind": "stow", "url": "http://pacs/dicom-web"}, False),
    ],
)
def test_an_archive_of_two_addresses_is_no_archive(peer, destination, agree):
    document = {
        "node": {"state_dir": "s"},
        "peer": [peer],
        "destination": [{"name": "PACS", **destination}],
        "pull": [{"name": "nightly", "archive": "PACS"}],
    }
    if agree:
        assert parse_settings(document, name="file").pull[0].archive == "PACS"
        return
    with pytest.raises(SettingsError) as caught:
        parse_settings(document, name="file")
    text = "file: pull[0].archive: 'PACS' is a [[destination]], and a [[peer]] that is called otherwise"
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"cron": "30 1 * *"}, "pull[0].cron: a crontab has five fields"),
        ({"cron": "30 1 * * 0"}, "pull[0].cron: the day of the week is written by its name"),
        ({"cron": "61 1 * * *"}, "pull[0].cron: "),
        ({"cron": "0 1 * * *", "every_min": 5}, "pull[0]: every_min and cron exclude each other"),
        ({"windows": ["8-12"]}, "pull[0].windows[0]: a window is written as"),
        ({"routes": ["other"]}, "pull[0].routes[0]: no [[route]] has the name 'other'"),
        ({"retrieve": "ftp"}, "pull[0].retrieve: Input should be 'move' or 'get'"),
        ({"days": 0}, "pull[0].days: Input should be greater"),
        ({"archives": "x"}, "pull[0].archives: there is no such key"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(keys, complaint):
    with pytest.raises(SettingsError) as caught:
        parsed(**keys)
    assert str(caught.value).startswith(f"file: {complaint}")


def test_a_crontab_and_windows_are_kept_as_they_are_written():
    kept = parsed(cron="30 1 * * mon-fri", windows=["20:00-06:00", "Sat-Sun 00:00-24:00"])
    assert (kept.cron, kept.windows) == ("30 1 * * mon-fri", ("20:00-06:00", "Sat-Sun 00:00-24:00"))
