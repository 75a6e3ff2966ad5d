"""The command line as an operator meets it: real commands, their output and exit codes."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from ringback import app as composition
from ringback import cli
from ringback.identity import second_factor
from ringback.opening import open_services
from ringback.resources import ENDPOINTS
from ringback.settings import Settings
from ringback.store import accounts, rows, schema
from ringback.store.database import Db, value
from tests.conftest import POSTGRES
from tests.process import COMMAND, Login, Process, login, ringback

DATA = Path(__file__).parent.parent / "src/ringback/demo/data"
COMMANDS = (
    "serve",
    "demo",
    "migrate",
    "import",
    "doctor",
    "config",
    "routes",
    "backup",
    "verify-backup",
    "restore",
    "retain",
)
NO_COUNTRY = "--country: there is no country '{}'; write the two letters of ISO 3166, such as GB."
GROUPS = (
    "customer create",
    "customer list",
    "customer delete",
    "user create",
    "user passwd",
    "user two-factor-off",
    "token create",
    "copy-to",
    "doctor verify",
)


@pytest.fixture
def acme(settings: Settings) -> Login:
    return login(settings)


@pytest.fixture
def served(settings: Settings, acme: Login) -> Iterator[Process]:
    process = Process((*COMMAND, "serve", "--port", "0"), settings)
    yield process
    process.popen.kill()
    process.popen.wait()


def printed(result: subprocess.CompletedProcess[str]) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def refused(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on standard error."""
    assert result.returncode == code, result
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    return result.stderr.strip().removeprefix("ringback: ")


# -- help -------------------------------------------------------------------------------------------------------------


def test_without_a_command_it_says_what_there_is(settings: Settings) -> None:
    shown = ringback(settings).stdout
    assert all(command in shown for command in (*COMMANDS, "customer", "user", "token"))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_what_is_listed_is_there(name: str) -> None:
    assert cli.command(name).name == name


def test_a_command_imports_what_it_needs() -> None:
    """A second of processor time for each command would be the price of importing all."""
    heavy = {"alembic", "psycopg", "starlette", "sqlalchemy", "ringback.resources"}
    for module, needed in (("ringback.cli", set()), ("ringback.cli.accounts", {"sqlalchemy"})):
        code = f"import sys, {module}; print(*sys.modules)"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert heavy & set(told.split()) == needed


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS])
def test_every_command_explains_itself(settings: Settings, command: str) -> None:
    text = printed(ringback(settings, *command.split(), "--help"))
    assert "bool" not in text
    assert "Example" in text or command == "customer list" or command == "customer delete"


def test_version(settings: Settings) -> None:
    assert re.fullmatch(r"ringback \d+\.\d+\.\d+\n", printed(ringback(settings, "--version")))


def test_nothing_is_opened_by_asking_for_help(settings: Settings, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    ringback(settings, "serve", "--help")
    assert set(tmp_path.iterdir()) == before


# -- what cannot work -------------------------------------------------------------------------------------------------


def test_a_port_in_use(settings: Settings, served: Process) -> None:
    port = str(served.address[1])
    assert refused(ringback(settings, "serve", "--port", port), 1) == (
        f"Port {port} of 127.0.0.1 is in use. End what listens there, or choose another with --port."
    )


def test_a_port_that_is_no_number(settings: Settings) -> None:
    said = refused(ringback(settings, "serve", "--port", "abc"), 2)
    assert said == "port must be a whole number, not 'abc' (--port)."


def test_an_address_that_is_not_this_machines(settings: Settings) -> None:
    assert "Cannot listen on 192.0.2.1 port 0" in refused(
        ringback(settings, "serve", "--host", "192.0.2.1", "--port", "0"), 1
    )


@pytest.mark.parametrize(
    ("environment", "code", "sentence"),
    [
        (
            {"RINGBACK_DATABASE": "/dev/null/x/ringback.db"},
            1,
            "The database file /dev/null/x/ringback.db cannot be made: Not a directory.",
        ),
        ({"RINGBACK_DATABASE": "mysql://x/y"}, 2, "database: mysql:// is no database that Ringback knows"),
        (
            {"RINGBACK_DATABASE": "postgresql://u:secret@127.0.0.1:1/x"},
            1,
            "The database cannot be used: connection failed",
        ),
        ({"RINGBACK_DATABASE": "postgresql://u:secret@127.0.0.1:port/x"}, 2, "database: this is no valid URL"),
        ({"RINGBACK_BLOBS": "/dev/null/blobs"}, 1, "/dev/null/blobs cannot be used: Not a directory"),
        (
            {"RINGBACK_BLOBS": "ftp://x"},
            2,
            "blobs: ftp:// is no place for audio that Ringback knows; use a folder or s3://",
        ),
        ({"RINGBACK_PORTT": "1"}, 2, "Unknown setting: RINGBACK_PORTT. Did you mean port?"),
        ({"RINGBACK_CONFIG": "/nowhere"}, 2, "The configuration file /nowhere cannot be read"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence(
    settings: Settings, environment: dict[str, str], code: int, sentence: str
) -> None:
    said = refused(ringback(settings, "serve", "--port", "0", **environment), code)
    assert said.startswith(sentence)
    assert "secret" not in said


def test_a_file_that_is_no_database(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Not a database at all. " * 100)
    assert refused(ringback(settings, "serve", "--port", "0", RINGBACK_DATABASE=str(path)), 1) == (
        f"The database {path} cannot be used: file is not a database."
    )
    assert path.read_text() == "Not a database at all. " * 100


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
def test_a_database_of_a_newer_version_is_left_alone(settings: Settings, command: str) -> None:
    _write(settings, lambda db: db.run("UPDATE alembic_version SET version_num = '9999'"))
    result = ringback(settings, command, *(["--port", "0"] if command == "serve" else []))
    assert "schema 9999, which is newer than this Ringback knows" in result.stdout + result.stderr
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr


# -- first start ------------------------------------------------------------------------------------------------------


def test_an_empty_database_gets_a_login_that_is_shown_once_and_works(settings: Settings) -> None:
    first = Process((*COMMAND, "serve", "--port", "0"), settings)
    shown = re.search(r"email +(\S+)\n +password +(\S+)\n", first.out.read_text())
    assert shown is not None
    assert f"guide     {first.url}/docs\n" in first.out.read_text()
    with first.client() as client:
        answer = client.post("/login", json={"email": shown[1], "password": shown[2]})
        me = client.get("/me", headers={"X-Auth-Token": answer.json()["user_token"]}).json()["data"]
    assert first.end() == 0
    assert (answer.status_code, me["is_root"]) == (200, True)

    second = Process((*COMMAND, "serve", "--port", "0"), settings)
    assert second.end() == 0
    assert second.out.read_text() == ""


def test_the_demo_is_filled_once_and_keeps_its_login(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = (*COMMAND, "demo", "--dir", str(folder), "--port", "0")
    printed_once = ringback(settings, *command[len(COMMAND) :], "--no-serve")
    assert printed_once.returncode == 0, printed_once.stderr
    file = folder / "credentials.env"
    before = _credentials(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert before["RINGBACK_PASSWORD"] in printed_once.stdout

    process = Process(command, settings)
    now = _credentials(file)
    answers = [
        httpx.get(now["RINGBACK_URL"] + "/cdrs", headers={"X-Auth-Token": now["RINGBACK_TOKEN"]}),
        httpx.post(
            now["RINGBACK_URL"] + "/login", json={"email": now["RINGBACK_EMAIL"], "password": now["RINGBACK_PASSWORD"]}
        ),
    ]
    assert process.end() == 0
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["total"] >= 39
    assert {**now, "RINGBACK_URL": ""} == {**before, "RINGBACK_URL": ""}
    assert now["RINGBACK_URL"] == f"{process.url}/v1.1/voipstudio"


def _credentials(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_migrate_says_what_it_did(settings: Settings, tmp_path: Path) -> None:
    assert "nothing to do" in printed(ringback(settings, "migrate"))
    if not POSTGRES:
        assert "The database was empty and has schema" in printed(
            ringback(settings, "migrate", RINGBACK_DATABASE=str(tmp_path / "new.db"))
        )


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_a_customer_a_user_and_a_token_made_here_work_in_the_api(settings: Settings, served: Process) -> None:
    customer_id = printed(ringback(settings, "customer", "create", "Other [Ltd]", "--country", "pl")).strip()
    made = printed(
        ringback(
            settings,
            "user",
            "create",
            "eva@other.example",
            "--customer",
            customer_id,
            "--role",
            "administrator",
            "--ext",
            "101",
        )
    )
    password = made.split()[-1]
    token = printed(
        ringback(settings, "token", "create", "--user", "EVA@other.example", "--name", "crm", "--expiry", "12h")
    ).strip()
    with served.client(token) as client:
        me = client.get("/me").json()["data"]
        assert client.post("/login", json={"email": "eva@other.example", "password": password}).status_code == 200
        assert client.get("/apitokens").json()["data"][0]["expiry"] == 43_200
    assert (me["is_root"], me["customer_id"], me["cc"]) == (True, int(customer_id), "PL")
    listed = printed(ringback(settings, "customer", "list"))
    assert re.search(rf"^{customer_id} +Other \[Ltd\] +PL +EUR", listed, re.M)


def test_a_token_for_a_program_that_brings_calls_in(settings: Settings, served: Process) -> None:
    token = printed(ringback(settings, "token", "create", "--ingest", "--name", "pbx")).strip()
    with served.client(token) as client:
        assert "opens /ingest only" in client.get("/cdrs").json()["message"]


def test_a_password_comes_from_a_pipe_and_ends_sessions(settings: Settings, served: Process) -> None:
    email = "admin@acme.example"
    assert "is set" in printed(ringback(settings, "user", "passwd", email, text="a new passphrase\n"))
    with served.client() as client:
        session = client.post("/login", json={"email": email, "password": "a new passphrase"}).json()["user_token"]
        printed(ringback(settings, "user", "passwd", email, text="another passphrase\n"))
        assert client.get("/me", headers={"X-Auth-Token": session}).status_code == 401


def test_a_second_factor_is_turned_off_for_who_has_lost_the_phone(settings: Settings, acme: Login) -> None:
    services = open_services(settings)
    turn_on = partial(second_factor.turn_on, method=second_factor.Method.EMAIL)
    services.database.write(lambda db: turn_on(db, acme.customer_id, acme.user_id))
    printed(ringback(settings, "user", "two-factor-off", "admin@acme.example"))
    sql = "SELECT two_factor_auth, (SELECT count(*) FROM recovery_codes) FROM users WHERE email = 'admin@acme.example'"
    assert services.database.read(lambda db: db.all(sql)) == [(0, 0)]
    services.database.close()


def test_what_cannot_be_made_is_said_in_a_sentence(settings: Settings, acme: Login) -> None:
    customer = ("--customer", str(acme.customer_id))
    printed(ringback(settings, "user", "create", "ann@acme.example", *customer, "--ext", "101"))
    cases = {
        ("user", "create", "ANN@acme.example", *customer): "ANN@acme.example is already used by another user.",
        (
            "user",
            "create",
            "bob@acme.example",
            *customer,
            "--ext",
            "101",
        ): "Extension 101 is already used by another user.",
        ("user", "create", "bob", *customer): "'bob' is no e-mail address.",
        ("user", "create", "bob@acme.example", *customer, "--ext", "10 1"): (
            "'10 1' is no extension: 1 to 20 digits, * and #."
        ),
        (
            "user",
            "create",
            "bob@acme.example",
            "--customer",
            "99",
        ): "There is no customer 99. `ringback customer list` shows all.",
        ("user", "passwd", "nobody@acme.example"): "There is no user nobody@acme.example.",
        ("token", "create", "--user", "1", "--name", "x"): "There is no user 1.",
        ("token", "create", "--user", "ann@acme.example", "--name", "x", "--expiry", "soon"): (
            "--expiry must be a number with s, m, h or d, such as 12h, not 'soon'."
        ),
        ("token", "create", "--name", "x"): (
            "Say whose token it is with --user, or --ingest for a program that brings calls in."
        ),
        ("customer", "create", "X", "--country", "XX"): NO_COUNTRY.format("XX"),
        ("customer", "create", "X", "--country", "GB", "--time-zone", "Nowhere/Land"): (
            "--time-zone: there is no time zone 'Nowhere/Land'; one is named Europe/Warsaw."
        ),
        ("import", "voicemail", "/", "--country", "England"): NO_COUNTRY.format("England"),
        ("import", "voicemail", "/", "--time-zone", "CEST"): (
            "--time-zone: there is no time zone 'CEST'; one is named Europe/Warsaw."
        ),
        ("import", "voicemail", "/", "--outside-prefix", "x"): (
            "--outside-prefix: up to 4 digits, such as 9, not 'x'."
        ),
        ("import", "voicemail", "ftp://pbx/"): "voicemail is imported from a file or a folder, not from a URL.",
        ("customer", "delete", "99", "--yes"): "There is no customer 99. `ringback customer list` shows all.",
    }
    assert {command: refused(ringback(settings, *command), 2) for command in cases} == cases
    printed(ringback(settings, "user", "create", "cid@acme.example"))  # of the only customer
    weak = ringback(settings, "user", "passwd", "ann@acme.example", text="ann@acme.example\n")
    assert refused(weak, 2) == "The password must not be the e-mail address or a name."


def test_a_deleted_customer_is_locked_out_and_all_its_data_goes(settings: Settings, acme: Login) -> None:
    services = open_services(settings)
    other = services.database.write(lambda db: accounts.create_customer(db, name="Other", cc="PL", now=1))
    for customer_id in (acme.customer_id, other):
        _add_recording(settings, customer_id)
    assert ringback(settings, "customer", "delete", str(acme.customer_id)).returncode == 1  # nobody said yes
    printed(ringback(settings, "customer", "delete", str(acme.customer_id), "--yes"))
    app = composition.build(services)
    while app.workers.run_one():
        pass
    tables = [table for table in schema.metadata.sorted_tables if "customer_id" in table.c]

    def left(db: Db) -> dict[str, int]:
        sql = 'SELECT count(*) FROM "{}" WHERE customer_id = :customer'
        counts = {table.name: value(db, sql.format(table.name), {"customer": acme.customer_id}) for table in tables}
        return {name: n for name, n in counts.items() if n}

    assert services.database.read(left) == {}
    assert [stored.key for stored in services.blobs.list()] == [f"{other}/monitors/1.mp3"]
    services.database.close()
    names = printed(ringback(settings, "customer", "list"))
    assert "Other" in names
    assert "Acme" not in names


# -- import -----------------------------------------------------------------------------------------------------------


def test_an_import_counts_what_it_read_and_knows_it_the_second_time(settings: Settings, acme: Login) -> None:
    command = ("import", "asterisk-cdr", str(DATA / "Master.csv"))
    first, second = ringback(settings, *command), ringback(settings, *command)
    n = len((DATA / "Master.csv").read_text().splitlines())
    assert first.stdout.startswith(f"{n} read: {n} new, 0 known already, 0 refused\n")
    assert second.stdout.startswith(f"{n} read: 0 new, {n} known already, 0 refused\n")
    assert (first.returncode, second.returncode) == (0, 0)


def test_refused_lines_are_shown_with_their_reason_and_the_exit_code(
    settings: Settings, acme: Login, tmp_path: Path
) -> None:
    path = tmp_path / "Master.csv"
    good = (DATA / "Master.csv").read_text().splitlines(keepends=True)[:3]
    path.write_text("".join(good) + '"only","three","columns"\n')
    result = ringback(settings, "import", "asterisk-cdr", str(path))
    assert result.stdout.startswith("4 read: 3 new, 0 known already, 1 refused\n")
    assert "refused line 4: " in result.stdout
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "No space left on device."),
        (OSError(28, "No space left on device", "/backup/rows"), "/backup/rows: No space left on device."),
        (sqlite3.OperationalError("disk is full"), "A file cannot be read or written: disk is full."),
    ],
)
def test_a_full_disk_is_nothing_to_report(error: Exception, sentence: str) -> None:
    assert cli._sentence(error) == (sentence, 1)


def test_the_name_of_a_file_commands_no_terminal(settings: Settings, acme: Login, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "a\x1b]0;title\x07\nrefused.wav").write_bytes(b"RIFF")
    result = ringback(settings, "import", "recordings", str(tmp_path / "spool"))
    assert "a\ufffd]0;title\ufffd\ufffdrefused.wav: no call has the uniqueid" in result.stdout


def test_all_that_is_refused_can_be_had_in_a_file(settings: Settings, acme: Login, tmp_path: Path) -> None:
    path, file = tmp_path / "Master.csv", tmp_path / "refused.json"
    path.write_text('"only","three","columns"\n' * 30)
    command = ("import", "asterisk-cdr", str(path), "--refused", str(file))
    result = ringback(settings, *command)
    assert result.stdout.endswith("… and 10 more\n")
    assert len(file.read_text().splitlines()) == 30
    assert refused(ringback(settings, *command), 2) == f"--refused: {file} is there already; name a file that is not."


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_database_that_is_not_there_is_told_without_the_password(
    settings: Settings, acme: Login, scheme: str
) -> None:
    url = f"{scheme}://reader:hu%40sh@127.0.0.1:1/asterisk?table=cdr"
    said = refused(ringback(settings, "import", "asterisk-cdr", url), 2)
    assert said.startswith("The database asterisk on 127.0.0.1: ")
    assert "sh@" not in said
    assert "hu@sh" not in said


def test_an_import_needs_to_know_what_and_for_whom(settings: Settings) -> None:
    assert refused(ringback(settings, "import", "fax", "x"), 2).startswith(
        "'fax' is nothing that can be imported; there are "
    )
    assert refused(ringback(settings, "import", "asterisk-cdr", "x"), 2).startswith("There is no customer yet: ")


def test_a_pipe_or_a_device_is_not_waited_for(settings: Settings, acme: Login, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (str(pipe), "/dev/zero"):
        for kind in ("asterisk-cdr", "cdrs", "pcap"):
            assert "is neither a file nor a folder" in refused(ringback(settings, "import", kind, path), 2)


# -- looking ----------------------------------------------------------------------------------------------------------


def test_routes_lists_every_operation(settings: Settings) -> None:
    result = ringback(settings, "routes")
    lines = {tuple(line.split()[:2]) for line in result.stdout.splitlines()[1:]}
    assert lines == {(each.method, each.path) for each in ENDPOINTS}
    assert not re.search(" $", result.stdout, re.M)
    assert re.search(r"^DELETE +/cdrs +administrator +- +204 ", result.stdout, re.M)


def test_config_shows_values_origins_and_no_secret(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ringback.toml"
    path.write_text('port = 9000\nsmtp_url = "smtp://me:hidden@mail.example.com"\nmail_from = "x@example.com"')
    shown = printed(ringback(settings, "config", "--config", str(path), RINGBACK_METRICS_TOKEN="hidden"))
    assert re.search(rf"^port +9000 +port in {re.escape(str(path))} +Port to listen on\.", shown, re.M)
    assert re.search(r"^metrics_token +\*\*\* +RINGBACK_METRICS_TOKEN ", shown, re.M)
    assert re.search(rf"^blobs +{re.escape(settings.blobs_url())} +default ", shown, re.M)
    assert re.search(r"^host +127\.0\.0\.1 +default ", shown, re.M)
    assert "hidden" not in shown


def test_doctor_finds_nothing_wrong_with_a_sound_installation(settings: Settings, acme: Login) -> None:
    _add_recording(settings, acme.customer_id)
    shown = printed(ringback(settings, "doctor"))
    assert "ok      all totals are right" in shown
    assert f"ok      audio can be stored, read and deleted at {settings.blobs_url()}" in shown
    assert POSTGRES or f"ok      the database {settings.database} has this version's schema" in shown
    assert f"ok      customer {acme.customer_id}: 1 audio file, each with its record" in shown
    assert shown.splitlines()[-1].startswith("0 faults")


def test_doctor_finds_wrong_totals_lost_audio_and_what_belongs_to_nothing(settings: Settings, acme: Login) -> None:
    _add_recording(settings, acme.customer_id)
    folder = Path(settings.blobs_url()) / str(acme.customer_id) / "monitors"
    old = 1_700_000_000
    (folder / "1.mp3").rename(folder / "2.mp3")
    os.utime(folder / "2.mp3", (old, old))
    _write(settings, lambda db: db.run("UPDATE counters SET n = n + 1 WHERE resource = 'monitors' AND attribute = ''"))
    result = ringback(settings, "doctor")
    who = acme.customer_id
    assert f"fault   the totals of monitors of customer {who} are wrong" in result.stdout
    assert f"fault   customer {who}: audio is lost of 1 recording, {who}/monitors/1.mp3 first" in result.stdout
    assert f"warning customer {who}: 1 audio file without a record, {who}/monitors/2.mp3 first" in result.stdout
    assert result.returncode == 1


def test_doctor_says_when_there_is_nothing_to_look_at(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "nothing" / "ringback.db"
    result = ringback(settings, "doctor", RINGBACK_DATABASE=str(path))
    assert f"there is no database at {path} yet: `ringback serve` makes it" in result.stdout
    assert result.returncode == 1
    assert not path.parent.exists()


@pytest.mark.parametrize("command", [("customer", "list"), ("user", "passwd", "a@b.example"), ("import", "pcap", "x")])
def test_in_the_wrong_folder_no_database_is_made(settings: Settings, tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "wrong" / "ringback.db"
    assert refused(ringback(settings, *command, RINGBACK_DATABASE=str(path)), 2) == (
        f"There is no database at {path}. Run `ringback serve` or `ringback migrate` first, "
        "or name the configuration with --config."
    )
    assert not path.parent.exists()


def test_doctor_tries_the_mail_server(settings: Settings, acme: Login) -> None:
    mail = {"RINGBACK_SMTP_URL": "smtp://127.0.0.1:1", "RINGBACK_MAIL_FROM": "x@example.com"}
    result = ringback(settings, "doctor", **mail)
    assert "fault   the mail server refuses: ConnectionRefusedError" in result.stdout


def _add_recording(settings: Settings, customer_id: int) -> None:
    services = open_services(settings)
    key = f"{customer_id}/monitors/1.mp3"
    row = {"user_id": 1, "duration": 1, "size": 3, "timestamp": 1_790_000_000, "blob_key": key, "source_key": "1"}
    services.blobs.put(key, b"mp3")
    services.database.write(lambda db: rows.insert(db, schema.monitors, customer_id, [row]))
    services.database.close()


def _write(settings: Settings, work: object) -> None:
    services = open_services(settings)
    services.database.write(work)  # type: ignore[arg-type]
    services.database.close()
