"""`[[notify]]`: the example, the defaults, and complaints that name their key."""

import re
import tomllib
from pathlib import Path

import pytest

from node.errors import SettingsError
from node.settings import MailSettings, Topic, WebhookSettings, load_settings, parse_settings

EXAMPLE = Path(__file__).parents[2] / "config" / "cspine-node.toml"
MAIL = {"name": "m", "kind": "mail", "host": "smtp", "sender": "a@b.example", "to": ["c@d.example"]}


def complaint(**notify: object) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"node": {"state_dir": "s"}, "notify": [notify]}, name="file.toml")
    return str(caught.value)


def test_without_a_kind_it_is_a_webhook_that_tells_of_everything():
    (whom,) = parse_settings(
        {"node": {"state_dir": "s"}, "notify": [{"name": "a", "url": "http://h"}]}, name="f"
    ).notify
    assert isinstance(whom, WebhookSettings)
    assert whom.on == {Topic.FAILURE, Topic.QUARANTINE, Topic.RECOVERY}
    assert (whom.group_wait_s, whom.group_interval_s, whom.failing_s) == (30, 300, 600)


def test_the_example_names_every_key():
    text = re.sub(r"^##? (\[.*|[a-z_]+ = .*)$", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    webhook, mail = tomllib.loads(text)["notify"]
    assert {*webhook} | {"url_file"} == set(WebhookSettings.model_fields)
    shared = set(WebhookSettings.model_fields) & set(MailSettings.model_fields)
    assert {*mail} | shared == set(MailSettings.model_fields)
    assert isinstance(WebhookSettings.model_validate(webhook), WebhookSettings)
    assert isinstance(MailSettings.model_validate(mail), MailSettings)


def test_what_the_example_shows_of_a_webhook_is_the_default():
    text = re.sub(r"^##? (\[.*|[a-z_]+ = .*)$", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = WebhookSettings.model_validate(tomllib.loads(text)["notify"][0])
    plain = WebhookSettings(name="desk", url="http://h")
    for key in ("on", "group_wait_s", "group_interval_s", "failing_s", "timeout_s"):
        assert getattr(shown, key) == getattr(plain, key)


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ({"name": "a"}, "notify[0]: either url or url_file is needed, and not both"),
        (
            {"name": "a", "url": "http://h", "url_file": "u"},
            "notify[0]: either url or url_file is needed, and not both",
        ),
        ({"name": "a", "url": "https://user:pass@h"}, "notify[0].url: String should match pattern"),
        ({"name": "a", "kind": "sms"}, 'notify[0]: kind must be "webhook" or "mail"'),
        ({"name": "a", "url": "http://h", "on": []}, "notify[0].on: "),
        ({"name": "a", "url": "http://h", "on": ["success"]}, "notify[0].on[0]: "),
        ({**MAIL, "to": []}, "notify[0].to: "),
        ({**MAIL, "to": ["x\r\nBcc: y@z.example"]}, "notify[0].to[0]: String should match pattern"),
        ({**MAIL, "username": "u"}, "notify[0]: username and password_file come together"),
        (
            {**MAIL, "username": "u", "password_file": "p", "security": "none"},
            "notify[0]: security: a password is sent over TLS only",
        ),
        ({**MAIL, "security": "none", "tls": {"authorities": "ca"}}, 'notify[0]: security: "none" takes no tls'),
    ],
)
def test_a_wrong_key_is_named_with_its_full_path(notify, said):
    assert complaint(**notify).splitlines()[0].startswith(f"file.toml: {said}")


def test_relative_files_start_at_the_settings_file(tmp_path: Path):
    (tmp_path / "node.toml").write_text(
        '[node]\nstate_dir = "s"\n'
        '[[notify]]\nname = "h"\nurl_file = "url"\nsecret_file = "/etc/key"\n[notify.tls]\nauthorities = "ca.pem"\n'
        '[[notify]]\nname = "m"\nkind = "mail"\nhost = "smtp"\nsender = "a@b.example"\nto = ["c@d.example"]\n'
        'username = "u"\npassword_file = "credential:mail"\n'
    )
    hook, mail = load_settings(tmp_path / "node.toml").notify
    assert isinstance(hook, WebhookSettings)
    assert isinstance(mail, MailSettings)
    assert (hook.url_file, hook.secret_file) == (tmp_path / "url", Path("/etc/key"))
    assert hook.tls is not None
    assert hook.tls.authorities == tmp_path / "ca.pem"
    assert mail.password_file == Path("credential:mail")
