"""`ringback doctor asterisk` and `asterisk-config`: what is missing in an Asterisk's files, line by line."""

import configparser
import os
import pwd
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ringback.connectors.asterisk import folders, setup
from ringback.connectors.asterisk.session import Login, Session
from ringback.connectors.settings import Connector
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


WRITE = ",".join(setup.WRITE)
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


def doctor(server: AmiServer, tmp_path: Path, name: str = "office", secret: str = SECRET, more: str = "") -> Any:
    path = tmp_path / "ringback.toml"
    text = f'kind = "asterisk"\nuser = "{USER}"\nsecret = "{secret}"\nport = {server.port}\ncustomer = 1\n{more}'
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
        "cel.conf": "[general]\n",
        "hep.conf": "[general]\nenabled = no\n",
    }
    configured(server, stock)
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    for lines in (
        "; manager.conf\n[general]\ntimestampevents = yes\n",
        f"; manager.conf\n[{USER}]\nread = system,call,agent,dialplan\n",
        f"; cel.conf\n[general]\nenable = yes\napps = {setup.APPS}\nevents = ALL\n",
        "; hep.conf\n[general]\nenabled = yes\n",
    ):
        assert lines in seen.stdout


def test_everybody_who_names_the_applications_names_the_same() -> None:
    for path in ("docs/importing.md", "tools/lab/ledger/etc/cel.conf"):
        assert f"apps = {setup.APPS}\n" in (Path(__file__).parent.parent / path).read_text()


def test_the_file_of_events_has_the_columns_that_are_recorded() -> None:
    mapping = (Path(__file__).parent.parent / "tools/lab/ledger/etc/cel_custom.conf").read_text()
    assert f"[mappings]\n{setup.FILE_OF_EVENTS}\n" == mapping


def test_without_channel_events_in_a_file_an_outage_leaves_calls_incomplete(server: AmiServer, tmp_path: Path) -> None:
    configured(server, {**GOOD, "cel.conf": "[general]\nenable = yes\nevents = CHAN_START,CHAN_END\n"})
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0
    assert "warning not all channel events are logged (CEL): calls of an outage stay incomplete\n" in seen.stdout


def test_missing_privileges_are_named(server: AmiServer, tmp_path: Path) -> None:
    allowed = {name: "…" for name in setup.ACTIONS if name not in {"Originate", "GetConfig"}}
    server.answers["ListCommands"] = [{"Response": "Success", **allowed}]
    server.answers["GetConfig"] = [{"Response": "Error", "Message": "Permission denied"}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    assert f"{USER} may not use GetConfig, Originate" in seen.stdout
    assert f"[{USER}]\nwrite = {WRITE}\n" in seen.stdout
    assert "cel.conf cannot be looked at" in seen.stdout


def test_an_asterisk_without_voicemail_lacks_no_privilege(server: AmiServer, tmp_path: Path) -> None:
    """Without voicemail.conf app_voicemail is loaded, and does not run."""
    allowed = dict.fromkeys((*setup.ACTIONS, "UserEvent"), "…")
    del allowed["VoicemailRefresh"]
    configured(server, GOOD, {*setup.MODULES, *setup.USEFUL_MODULES})
    server.answers["ListCommands"] = [{"Response": "Success", **allowed}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0, seen.stdout
    assert "warning module app_voicemail does not run, so there is no voicemail" in seen.stdout
    assert "noload" not in seen.stdout
    assert f"ok      {USER} may use what is needed\n" in seen.stdout


def test_a_second_voicemail_that_has_undone_the_first_is_named(server: AmiServer, tmp_path: Path) -> None:
    """A stock Debian loads app_voicemail_odbc too: that finds no database, and takes the applications of both away."""
    allowed = dict.fromkeys((*setup.ACTIONS, "UserEvent"), "…")
    del allowed["VoicemailRefresh"]
    configured(server, GOOD, {*setup.MODULES, *setup.USEFUL_MODULES, "app_voicemail_odbc"})
    server.answers["ListCommands"] = [{"Response": "Success", **allowed}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0, seen.stdout
    assert (
        "warning there is no voicemail: module app_voicemail_odbc has undone app_voicemail when it failed"
        in seen.stdout
    )
    assert "\n; modules.conf\n[modules]\nnoload = app_voicemail_odbc.so\n" in seen.stdout


def test_modules_that_are_not_loaded_are_named(server: AmiServer, tmp_path: Path) -> None:
    configured(server, GOOD, {*setup.MODULES, *setup.USEFUL_MODULES} - {"func_channel", "cel_custom", "app_mixmonitor"})
    seen = doctor(server, tmp_path)
    assert seen.returncode == 1
    assert "fault   module func_channel is not loaded: it brings codecs and Call-IDs\n" in seen.stdout
    assert "warning module cel_custom is not loaded: it brings a file of what happens" in seen.stdout
    assert "warning module app_mixmonitor is not loaded: it brings recordings\n" in seen.stdout
    assert "[modules]\nload = func_channel.so\n" in seen.stdout


def test_an_older_version_is_a_warning(server: AmiServer, tmp_path: Path) -> None:
    server.answers["CoreSettings"] = [{"Response": "Success", "AsteriskVersion": "16.30.0"}]
    seen = doctor(server, tmp_path)
    assert seen.returncode == 0
    assert "warning Asterisk 16: tried are 18 to 22" in seen.stdout


def test_shared_folders_are_looked_at(server: AmiServer, tmp_path: Path) -> None:
    (tmp_path / "monitor").mkdir()
    (tmp_path / "voicemail/default/101/INBOX").mkdir(parents=True)
    more = f'recordings = "{tmp_path}/monitor"\nremove_recordings = true\nvoicemail = "{tmp_path}/voicemail"\n'
    seen = doctor(server, tmp_path, more=more)
    assert seen.returncode == 0, seen.stdout
    assert f"recordings: {tmp_path}/monitor can be changed\n" in seen.stdout
    assert "voicemail: 1 mailboxes, which can be changed\n" in seen.stdout
    away = doctor(server, tmp_path, more=more.replace("/monitor", "/nowhere"))
    assert away.returncode == 1
    assert f"fault   recordings: there is no folder {tmp_path}/nowhere on this machine\n" in away.stdout


def test_what_cannot_be_read_or_changed_is_told_with_the_command(
    server: AmiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may do everything: so the answer is made here."""
    (tmp_path / "default/101/INBOX").mkdir(parents=True)
    connector = Connector("office", "asterisk", USER, SECRET, customer=1, voicemail=str(tmp_path))
    session = Session(Login("127.0.0.1", server.port, USER, SECRET), lambda _: None, lambda _: None)
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    folder, boxes, _ = folders.points(session, connector)
    assert (folder.is_good, boxes.is_good, boxes.is_needed) == (True, False, True)
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert boxes.lines == (f"setfacl -R -m u:{me}:rwX,u:asterisk:rwX,d:u:{me}:rwX,d:u:asterisk:rwX {tmp_path}",)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert [each.is_good for each in folders.points(session, connector)] == [False, True]
    session.close()


def test_a_folder_below_one_that_is_closed_is_told_with_the_command(
    server: AmiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stock Debian has it: the folder above them is open to Asterisk's group alone. Root may look into any."""
    spool = tmp_path / "spool"
    (spool / "monitor").mkdir(parents=True)
    connector = Connector("office", "asterisk", USER, SECRET, customer=1, recordings=str(spool / "monitor"))
    session = Session(Login("127.0.0.1", server.port, USER, SECRET), lambda _: None, lambda _: None)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != spool and spool not in Path(path).parents)
    seen = Path.is_dir

    def is_dir(path: Path) -> bool:
        if spool in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return seen(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    (folder,) = folders.points(session, connector)
    assert (folder.is_good, folder.is_needed) == (False, True)
    assert folder.text == f"recordings: {spool}/monitor cannot be reached by this user: {spool} is closed to it"
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert folder.lines[0] == f"setfacl -m u:{me}:x {spool}"
    session.close()


def test_locks_of_another_kind_are_told(server: AmiServer, tmp_path: Path) -> None:
    configured(server, {**GOOD, "asterisk.conf": "[options]\nlockmode = flock\n"})
    seen = doctor(server, tmp_path, more=f'voicemail = "{tmp_path}"\n')
    assert seen.returncode == 1
    assert "; asterisk.conf\n[options]\nlockmode = lockfile\n" in seen.stdout


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
