"""`ringback doctor asterisk` and `asterisk-config`: what is missing in an Asterisk's files, line by line."""

import configparser
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import setup
from ringback.settings import Settings
from tests.ami_server import SECRET, USER, AmiServer
from tests.process import ringback


def told(text: str) -> list[dict[str, str]]:
    """A file as GetConfig tells it."""
    message, section, line_no = {"Response": "Success"}, -1, 0
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            section, line_no = section + 1, 0
            message[f"Category-{section:06}"] = line.strip("[]")
        else:
            message[f"Line-{section:06}-{line_no:06}"] = line.replace(" = ", "=")
            line_no += 1
    return [message]


GOOD = {name: "\n".join(lines) for name, lines in setup.files(USER, SECRET, "127.0.0.1").items()}


def configured(server: AmiServer, files: Mapping[str, str], modules: set[str] | None = None) -> None:
    def config(fields: Any) -> Any:
        text = files.get(fields["Filename"])
        return told(text) if text is not None else [{"Response": "Error", "Message": "Config file not found"}]

    def module(fields: Any) -> Any:
        there = modules is None or fields["Module"] in modules
        return [{"Response": "Success"}] if there else [{"Response": "Error", "Message": "Module not loaded"}]

    server.answers["GetConfig"], server.answers["ModuleCheck"] = config, module
    server.answers["ListCommands"] = [{"Response": "Success", **dict.fromkeys(setup.ACTIONS, "…")}]


@pytest.fixture
def server() -> Iterator[AmiServer]:
    made = AmiServer()
    configured(made, GOOD)
    yield made
    made.close()


def doctor(server: AmiServer, tmp_path: Path, name: str = "office", secret: str = SECRET) -> Any:
    path = tmp_path / "ringback.toml"
    text = f'kind = "asterisk"\nuser = "{USER}"\nsecret = "{secret}"\nport = {server.port}\ncustomer = 1\n'
    path.write_text(f"[connectors.office]\n{text}")
    settings = Settings(data_dir=str(tmp_path), database=str(tmp_path / "x.db"))
    return ringback(settings, "doctor", "asterisk", name, "--config", str(path))


def test_what_asterisk_config_prints_is_all_that_is_needed(server: AmiServer, tmp_path: Path) -> None:
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0, seen.stdout
    assert {line.split()[0] for line in seen.stdout.splitlines()} == {"ok"}
    assert SECRET not in seen.stdout


def test_a_stock_asterisk_misses_exactly_these_lines(server: AmiServer, tmp_path: Path) -> None:
    stock = {
        "manager.conf": f"[general]\nenabled = yes\n[{USER}]\nread = system,call\n",
        "cel.conf": "[general]\n[manager]\n",
        "hep.conf": "[general]\nenabled = no\n",
    }
    configured(server, stock)
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    for lines in (
        "; manager.conf\n[general]\ntimestampevents = yes\n",
        f"; manager.conf\n[{USER}]\nread = system,call,agent,dialplan\n",
        f"; cel.conf\n[general]\nenable = yes\napps = {setup.APPS}\nevents = ALL\n",
        "; cel.conf\n[manager]\nenabled = yes\n",
        "; hep.conf\n[general]\nenabled = yes\n",
    ):
        assert lines in seen.stdout


def test_missing_privileges_are_named(server: AmiServer, tmp_path: Path) -> None:
    allowed = {name: "…" for name in setup.ACTIONS if name not in {"Originate", "GetConfig"}}
    server.answers["ListCommands"] = [{"Response": "Success", **allowed}]
    server.answers["GetConfig"] = [{"Response": "Error", "Message": "Permission denied"}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    assert f"{USER} may not use GetConfig, Originate" in seen.stdout
    assert f"[{USER}]\nwrite = system,call,originate,reporting,config\n" in seen.stdout
    assert "cel.conf cannot be looked at" in seen.stdout


def test_modules_that_are_not_loaded_are_named(server: AmiServer, tmp_path: Path) -> None:
    configured(server, GOOD, {*setup.MODULES, *setup.USEFUL_MODULES} - {"cel_manager", "app_mixmonitor"})
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    assert "fault   module cel_manager is not loaded: it brings calls\n" in seen.stdout
    assert "warning module app_mixmonitor is not loaded: it brings recordings\n" in seen.stdout
    assert "[modules]\nload = cel_manager.so\n" in seen.stdout


def test_an_older_version_is_a_warning(server: AmiServer, tmp_path: Path) -> None:
    server.answers["CoreSettings"] = [{"Response": "Success", "AsteriskVersion": "16.30.0"}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0
    assert "warning Asterisk 16: tried are 18 to 22" in seen.stdout


def test_a_wrong_login_is_one_line(server: AmiServer, tmp_path: Path) -> None:
    seen = doctor(server, tmp_path, secret="wrong")
    assert seen.returncode == 1
    assert "login as ringback refused (Authentication failed)" in seen.stdout


def test_an_unknown_name_is_one_line(server: AmiServer, tmp_path: Path) -> None:
    seen = doctor(server, tmp_path, "shop")
    assert (seen.returncode, seen.stdout) == (2, "")
    assert "There is no [connectors.shop] in the configuration; there is office." in seen.stderr


def test_without_any_connector_it_says_where_one_comes_from(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), database=str(tmp_path / "x.db"))
    seen = ringback(settings, "doctor", "asterisk", "office")
    assert seen.returncode == 2
    assert "There is no [connectors.office] in the configuration; `ringback asterisk-config` prints one" in seen.stderr


def test_both_sides_are_printed_with_one_new_secret(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), database=str(tmp_path / "x.db"))
    printed = ringback(settings, "asterisk-config").stdout
    asterisk, ours = printed.split("# ---- the configuration file of Ringback\n")
    given = tomllib.loads(ours)["connectors"]["office"]
    manager = configparser.ConfigParser()
    manager.read_string(asterisk.split("; ---- ")[1].partition("\n")[2])
    assert manager[given["user"]]["secret"] == given["secret"]
    assert ringback(settings, "asterisk-config").stdout != printed
