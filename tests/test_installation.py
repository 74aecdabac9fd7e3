"""What an installation is made of: the wheel, the container image, compose.yaml, the bill of materials."""

import configparser
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import yaml
from peers import program

from node.cli import COMMANDS
from node.control import ControlServer
from node.settings import DicomDestination, load_settings

ROOT = Path(__file__).parents[1]
CONTAINER = ROOT / "config" / "container"
IMAGES = [ROOT / "Dockerfile", CONTAINER / "ohif" / "Dockerfile"]
COMPOSE = ROOT / "compose.yaml"
OURS = ("worker", "node", "web")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments, each on one line."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [
        (name, rest)
        for name, _, rest in (line.partition(" ") for line in "\n".join(lines).replace("\\\n", "").splitlines() if line)
    ]


def copied(path: Path) -> list[str]:
    """Return what a Dockerfile copies from its context."""
    copies = [rest for name, rest in instructions(path) if name == "COPY" and "--from" not in rest]
    return [word for rest in copies for word in rest.split()[:-1] if not word.startswith("--")]


def seconds(span: str) -> float:
    """Return the seconds of a span in compose's words."""
    return sum(float(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", span))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text()))


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of the source tree as it is; nothing is left in it."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    source.mkdir()
    for name in ("node", "dicom_sr", "config", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True)
    (made,) = out.glob("cspine_node-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel alone; what the wheel needs is seen through this one's packages."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--ignore-installed", str(wheel)], check=True)
    return folder


def ran(folder: Path, *arguments: str | Path) -> Any:
    """Run the installed command outside the source tree; return its answer."""
    command = [str(folder / "bin" / "cspine-node"), *map(str, arguments), "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_wheel_holds_everything_that_is_read_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        example = archive.read("node/settings/cspine-node.toml")
    assert example == (ROOT / "config" / "cspine-node.toml").read_bytes()
    data = {
        path.relative_to(ROOT).as_posix()
        for folder in ("node", "dicom_sr")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == data


def test_the_installed_command_writes_settings_that_it_takes_with_the_model_in_the_box(installed: Path) -> None:
    path = installed / "cspine-node.toml"
    ran(installed, "init", "--out", path, "--state-dir", "state", "--ae-title", "FRESH")
    said = ran(installed, "check-config", "--config", path)
    assert (said["settings"]["node"]["ae_title"], said["bundle"]["name"]) == ("FRESH", "cspine-starter")
    code = "import node, dicom_sr; print(node.__file__, dicom_sr.__file__)"
    told = subprocess.check_output([installed / "bin" / "python", "-c", code], cwd=installed, text=True)
    assert [Path(place).is_relative_to(installed) for place in told.split()] == [True, True]


# The image


@pytest.mark.peer("hadolint")
@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.parent.name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    command = program("hadolint")
    assert command is not None
    done = subprocess.run([command, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.parent.name)
def test_an_image_is_made_of_files_that_are_there_and_runs_as_nobody_in_particular(path: Path) -> None:
    told = instructions(path)
    users = [rest for name, rest in told if name == "USER"]
    assert users[-1].replace(":", "").isdecimal()
    assert not users[-1].startswith("0")
    assert [name for name, _ in told].count("HEALTHCHECK") == 1
    assert [name for name in copied(path) if not (path.parent / name).exists()] == []


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.parent.name)
def test_what_an_image_takes_from_the_source_its_user_can_read_whatever_the_umask_was(path: Path) -> None:
    last = "\n".join(f"{name} {rest}" for name, rest in instructions(path)).rpartition("\nFROM ")[2].splitlines()
    copies = [line for line in last if line.startswith("COPY ") and "--from" not in line]
    assert copies
    assert [line for line in copies if not line.startswith("COPY --chmod=0644 ")] == []


def test_the_image_lets_into_its_build_what_it_copies_and_nothing_else() -> None:
    ignored, *let_in = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith(("#", "**"))
    ]
    assert ignored == "*"
    assert {line.removeprefix("!") for line in let_in} == {name.split("/")[0] for name in copied(ROOT / "Dockerfile")}


# compose.yaml


def test_what_is_ours_runs_without_privileges_on_a_root_that_cannot_be_written(compose: dict[str, Any]) -> None:
    uid = next(rest for name, rest in instructions(ROOT / "Dockerfile") if name == "USER")
    for name in OURS:
        service = compose["services"][name]
        assert (service["user"], service["read_only"], service["cap_drop"]) == (uid, True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert compose["services"]["worker"]["network_mode"] == "none"


def test_the_worker_cannot_change_the_state(compose: dict[str, Any]) -> None:
    mounts = dict.fromkeys(OURS, "")
    for name in OURS:
        (mounts[name],) = [mount for mount in compose["services"][name]["volumes"] if ":/var/lib/cspine-node" in mount]
    state = "state:/var/lib/cspine-node"
    assert mounts == {"worker": f"{state}:ro", "node": state, "web": state}


def test_each_service_has_as_long_to_end_as_its_unit_and_as_its_cases_may_take(compose: dict[str, Any]) -> None:
    spans = {name: seconds(compose["services"][name]["stop_grace_period"]) for name in OURS}
    for name, unit in zip(OURS, ("worker", "receiver", "web"), strict=True):
        told = configparser.ConfigParser(strict=False)
        told.read(ROOT / "systemd" / f"cspine-node-{unit}.service")
        assert spans[name] >= told.getint("Service", "TimeoutStopSec"), name
    cases_s = 2 * load_settings(CONTAINER / "cspine-node.toml").model.timeout_s
    assert min(spans["worker"], spans["node"]) >= cases_s


def test_a_container_is_not_unhealthy_before_its_unit_would_be_taken_for_failed(compose: dict[str, Any]) -> None:
    """A page that waits for a healthy node is not started at all once the node is unhealthy."""
    image = next(rest for name, rest in instructions(ROOT / "Dockerfile") if name == "HEALTHCHECK")
    given = {
        "receiver": image.partition("--start-period=")[2].split()[0],
        "worker": compose["services"]["worker"]["healthcheck"]["start_period"],
    }
    for unit, span in given.items():
        told = configparser.ConfigParser(strict=False)
        told.read(ROOT / "systemd" / f"cspine-node-{unit}.service")
        assert seconds(span) >= told.getint("Service", "TimeoutStartSec"), unit


def test_only_the_dicom_ports_hear_other_machines(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports == {
        "worker": [],
        "node": ["11112:11112"],
        "web": ["127.0.0.1:8080:8080"],
        "orthanc": ["4242:4242", "127.0.0.1:8042:8042"],
        "ohif": ["127.0.0.1:3000:8080"],
    }


def test_each_service_runs_a_command_that_there_is(compose: dict[str, Any]) -> None:
    assert [compose["services"][name]["command"] for name in OURS] == [["worker"], ["serve"], ["web"]]
    assert {"worker", "serve", "web"} <= set(COMMANDS)


def test_every_file_and_volume_that_is_named_is_there(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = (ROOT / source).is_file() if source.startswith("./") else source in compose["volumes"]
            assert there, f"{name}: {mount}"
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name


def test_settings_archive_and_viewer_agree_on_names_and_ports(compose: dict[str, Any]) -> None:
    settings = load_settings(CONTAINER / "cspine-node.toml")
    orthanc = json.loads((CONTAINER / "orthanc.json").read_text())
    (archive,) = settings.destination
    assert isinstance(archive, DicomDestination)
    assert (archive.host in compose["services"], archive.port, archive.ae_title) == (
        True,
        orthanc["DicomPort"],
        orthanc["DicomAet"],
    )
    assert orthanc["DicomModalities"]["cspine"] == [settings.node.ae_title, "node", settings.node.port]
    assert str(settings.model.worker).startswith("/run/cspine-node/")
    viewer = (CONTAINER / "ohif" / "app-config.js").read_text()
    assert f'wadoRoot: "{orthanc["DicomWeb"]["Root"].rstrip("/")}"' in viewer
    assert f'wadoUriRoot: "{orthanc["DicomWeb"]["WadoRoot"]}"' in viewer


def test_the_doctor_in_the_container_of_the_node_sees_what_is_in_the_other_containers(compose: dict[str, Any]) -> None:
    settings = load_settings(CONTAINER / "cspine-node.toml")
    assert (settings.node.host, settings.web.host) == ("node", "web")
    assert settings.web.user[0].password_file == Path("/run/secrets/web-password")
    assert [compose["services"][name].get("secrets") for name in ("node", "web")] == [["web-password"]] * 2


def test_each_health_check_asks_where_the_settings_say(compose: dict[str, Any]) -> None:
    settings = load_settings(CONTAINER / "cspine-node.toml")
    image = next(rest for name, rest in instructions(ROOT / "Dockerfile") if name == "HEALTHCHECK")
    asked = [compose["services"][name]["healthcheck"]["test"][-2:] for name in ("worker", "web")]
    assert asked == [["worker", str(settings.model.worker)], ["web", f"{settings.web.host}:{settings.web.port}"]]
    assert json.loads(image.partition("CMD ")[2])[-2:] == ["node", str(settings.node.state_dir)]


def test_the_variant_with_cuda_changes_the_worker_alone(compose: dict[str, Any]) -> None:
    cuda = yaml.safe_load((ROOT / "compose.cuda.yaml").read_text())["services"]
    assert set(cuda) == {"worker"} <= set(compose["services"])
    assert cuda["worker"]["build"]["args"] == {"TORCH": "cuda"}


# nginx before what shows patients


@pytest.mark.parametrize(("path", "before"), [("config/container/ohif/nginx.conf", ""), ("docs/web.md", "nginx:\n\n")])
def test_a_web_server_writes_down_no_address_in_which_a_patient_is_searched_for(path: str, before: str) -> None:
    """Neither one that was answered nor one that failed, and nothing within turns either log on again."""
    block = (ROOT / path).read_text().partition(before)[2] if before else (ROOT / path).read_text()
    lines = [line.partition("#")[0].strip() for line in block.partition("\n###")[0].splitlines()]
    assert [line for line in lines if "_log" in line] == ["access_log off;", "error_log /dev/null;"]
    within = lines[: lines.index("access_log off;")]
    assert [line for line in within if line.endswith("{")][1:] == []  # in the outermost block, for all of it


# Health checks


@pytest.fixture(scope="module")
def healthcheck() -> ModuleType:
    return module(CONTAINER / "healthcheck.py")


@pytest.mark.parametrize(
    ("answer", "code"), [({"figures": {}}, 0), ({"error": {"code": "x", "message": "it does not"}}, 1)]
)
def test_a_node_is_well_when_it_answers(
    healthcheck: ModuleType, tmp_path: Path, answer: dict[str, Any], code: int
) -> None:
    with ControlServer(tmp_path, lambda _request: answer):
        assert healthcheck.main(["node", str(tmp_path)]) == code


def test_a_node_that_does_not_run_is_not_well(
    healthcheck: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert healthcheck.main(["node", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "no node runs over this state folder\n"


def test_a_worker_is_well_when_somebody_hears_at_its_socket(healthcheck: ModuleType, tmp_path: Path) -> None:
    place = tmp_path / "worker.sock"
    assert healthcheck.main(["worker", str(place)]) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(place))
        door.listen()
        assert healthcheck.main(["worker", str(place)]) == 0


@pytest.fixture
def page() -> Iterator[tuple[HTTPServer, list[int]]]:
    """A server that answers with the last of these codes."""
    codes = [200]

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(codes[-1] if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server, codes
        server.shutdown()
        thread.join()


def test_a_page_is_well_when_livez_says_so(healthcheck: ModuleType, page: tuple[HTTPServer, list[int]]) -> None:
    server, codes = page
    place = f"127.0.0.1:{server.server_port}"
    assert healthcheck.main(["web", place]) == 0
    codes.append(503)
    assert healthcheck.main(["web", place]) == 1


def test_the_page_is_asked_itself_whatever_proxy_the_environment_names(
    healthcheck: ModuleType, page: tuple[HTTPServer, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert healthcheck.main(["web", f"127.0.0.1:{page[0].server_port}"]) == 0


# The bill of materials


def test_the_bill_has_what_the_node_needs_and_no_tool_of_its_developers() -> None:
    sbom = module(ROOT / "config" / "sbom.py")
    names = sbom.needed(sbom.packages_of(sys.executable), sbom.asked(ROOT))
    assert {"torch", "pydicom", "openvino", "psycopg", "starlette"} <= names
    assert names & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "cyclonedx-bom"} == set()


def test_a_bill_is_cut_down_to_names_with_the_dependencies_among_them() -> None:
    sbom = module(ROOT / "config" / "sbom.py")
    components = [{"bom-ref": name, "name": name} for name in ("Torch", "numpy", "pytest")]
    dependencies = [
        {"ref": "root", "dependsOn": ["Torch", "pytest"]},
        {"ref": "Torch", "dependsOn": ["numpy"]},
        {"ref": "pytest"},
    ]
    whole = {"metadata": {"component": {"bom-ref": "root"}}, "components": components, "dependencies": dependencies}
    model = {"bom-ref": "model:starter", "name": "starter"}
    bill = sbom.kept(whole, {"torch", "numpy"}, "1.2", [model])
    assert [item["name"] for item in bill["components"]] == ["Torch", "numpy", "starter"]
    assert bill["dependencies"] == [{"ref": "root", "dependsOn": ["Torch"]}, {"ref": "Torch", "dependsOn": ["numpy"]}]
    assert bill["metadata"]["component"]["version"] == "1.2"


def test_the_model_and_the_scripts_of_the_page_are_in_the_bill() -> None:
    sbom = module(ROOT / "config" / "sbom.py")
    model, *files = sbom.beside_python(ROOT)
    version = json.loads((ROOT / "node/segment/starter/bundle.json").read_text())["version"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "cspine-starter", version)
    assert {item["name"] for item in files} == {path.name for path in (ROOT / "node/web/static/vendor").glob("*.js")}


def test_what_the_image_pins_is_what_the_tests_ran_with() -> None:
    pinned = (ROOT / "constraints.txt").read_text()
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {name.lower().replace("_", "-") for line in pinned.splitlines() if (name := line.partition("==")[0])}
    asked = {text.split(">")[0].split("[")[0].split("=")[0] for text in dependencies}
    assert asked - names == set()
