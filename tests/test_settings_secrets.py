"""Files with secrets in the settings: paths, and credentials of systemd."""

from pathlib import Path

import pytest

from node.errors import SettingsError
from node.settings import load_settings, parse_settings

_STOW = '[node]\nstate_dir = "s"\n[[destination]]\nname = "w"\nkind = "stow"\nurl = "https://w"\n'


def token_file(tmp_path: Path, value: str) -> Path:
    """Return the place of a token that the settings name so."""
    (tmp_path / "node.toml").write_text(f'{_STOW}token_file = "{value}"\n')
    place: Path = load_settings(tmp_path / "node.toml").destination[0].token_file  # type: ignore[union-attr, assignment]
    return place


def test_a_credential_lies_in_the_folder_that_systemd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/cspine-node-receiver.service")
    assert token_file(tmp_path, "credential:cspine-node.stow-token") == Path(
        "/run/credentials/cspine-node-receiver.service/cspine-node.stow-token"
    )
    assert token_file(tmp_path, "token") == tmp_path / "token"


@pytest.mark.parametrize("directory", [None, ""])
def test_without_systemd_a_credential_keeps_its_name_and_the_rest_of_the_settings_is_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str | None
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if directory is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", directory)
    assert token_file(tmp_path, "credential:stow") == Path("credential:stow")


def test_keys_of_tls_and_of_the_page_may_be_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/c")
    (tmp_path / "node.toml").write_text(
        '[node]\nstate_dir = "s"\n[receive.tls]\ncertificate = "c"\nkey = "credential:key"\nauthorities = "a"\n'
        '[[destination]]\nname = "w"\nkind = "stow"\nurl = "https://w"\n'
        'tls = {authorities = "a", certificate = "c", key = "credential:key"}\n'
        '[web.tls]\ncertificate = "c"\nkey = "credential:web"\n'
    )
    parsed = load_settings(tmp_path / "node.toml")
    assert parsed.receive.tls is not None
    assert (parsed.receive.tls.key, parsed.receive.tls.certificate) == (Path("/run/c/key"), tmp_path / "c")
    assert parsed.destination[0].tls.key == Path("/run/c/key")  # type: ignore[union-attr]
    assert parsed.web.tls is not None
    assert parsed.web.tls.key == Path("/run/c/web")


@pytest.mark.parametrize("name", ["", "..", "../node.toml", "a/b", "a b", "x" * 256])
def test_what_is_no_name_of_a_credential_is_a_complaint(name: str) -> None:
    document = {
        "node": {"state_dir": "s"},
        "destination": [{"name": "w", "kind": "stow", "url": "https://w", "token_file": f"credential:{name}"}],
    }
    with pytest.raises(SettingsError, match=r"destination\[0\]\.token_file: after credential: stands the name"):
        parse_settings(document, name="file.toml")
