"""The tables `[connectors.NAME]` of the configuration file: what they say, and what is refused before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringback import settings
from ringback.connectors.settings import Connector, Rule
from ringback.errors import UsageError
from ringback.settings import Settings
from tests.process import ringback

Write = Callable[[str], Path]
LEAST = '[connectors.office]\nkind = "asterisk"\nuser = "ringback"\nsecret = "s3cret"\n'


@pytest.fixture
def config(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "ringback.toml"
        path.write_text(text)
        return path

    return write


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        settings.load(path, {})
    return str(caught.value)


def test_a_first_start_that_fails_says_so_beside_the_first_login(config: Write, tmp_path: Path) -> None:
    path = config(LEAST + "customer = 7\n")
    given = Settings(data_dir=str(tmp_path), database=str(tmp_path / "new.db"))
    seen = ringback(given, "serve", "--port", "0", "--config", str(path))
    assert (seen.returncode, seen.stderr) == (2, "ringback: [connectors.office]: there is no customer 7.\n")
    assert seen.stdout.startswith("The server does not start yet, but the database has been made, with this login;")
    assert "password" in seen.stdout
    assert "http" not in seen.stdout


def test_a_table_is_a_pbx(config: Write) -> None:
    found = settings.load(config(LEAST + "customer = 1\n"), {})
    assert found.connectors == (Connector("office", "asterisk", "ringback", "s3cret", customer=1),)
    assert (found.connectors[0].host, found.connectors[0].port) == ("127.0.0.1", 5038)
    assert "s3cret" not in repr(found)


def test_rules_tell_the_customers_of_one_pbx_apart(config: Write) -> None:
    text = LEAST + "[[connectors.office.rules]]\ncustomer = 2\nendpoint = 'acme-'\nddi = '4420'\n"
    (found,) = settings.load(config(text), {}).connectors
    assert found.rules == (Rule(2, endpoint="acme-", ddi="4420"),)
    assert (found.customer, found.customers()) == (None, {2})


def test_the_secret_may_stand_in_a_file_of_its_own(config: Write, tmp_path: Path) -> None:
    (tmp_path / "ami").write_text("from a file\n")
    text = f'[connectors.a]\nkind = "asterisk"\nuser = "u"\ncustomer = 1\nsecret_file = "{tmp_path / "ami"}"\n'
    assert settings.load(config(text), {}).connectors[0].secret == "from a file"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("connectors = 3\n", "must be tables"),
        ("[connectors]\noffice = 1\n", "must be tables"),
        ("[connectors.'a b']\n", "a name is up to 32"),
        (LEAST, "customer is missing"),
        (LEAST + "customer = '1'\n", "customer must be a whole number"),
        (LEAST + "customer = true\n", "customer must be a whole number"),
        (LEAST + "customer = 1\nprot = 3\n", "unknown setting prot. Did you mean port?"),
        (
            LEAST + 'customer = 1\nhep_listen = ""\n',
            "unknown setting hep_listen. Settings of the server itself stand above",
        ),
        (LEAST + "customer = 1\nport = 70000\n", "port must be from 1 to 65535"),
        (LEAST + "customer = 1\nhost = 'a b'\n", "host cannot be 'a b'"),
        (LEAST + "customer = 1\ndial_context = 'a\\nb'\n".replace("'", '"'), "dial_context cannot be"),
        (LEAST + "customer = 1\nsecret_file = '/x'\n", "both give secret"),
        (LEAST + "rules = 1\n", "rules must be tables"),
        (LEAST + "[[connectors.office.rules]]\ncustomer = 2\n", "a rule needs context, account, endpoint or ddi"),
        (LEAST + "[[connectors.office.rules]]\nddi = '44'\n", "customer is missing"),
        (LEAST.replace('kind = "asterisk"\n', ""), "kind is missing"),
        (
            LEAST.replace('"asterisk"', '"freeswitch"').replace('"ringback"', '""')
            + 'recordings = "/x"\ncustomer = 1\n',
            "recordings is not for a FreeSWITCH",
        ),
        (LEAST.replace('"asterisk"', '"freeswitch"') + "customer = 1\n", "user cannot be 'ringback'"),
        (LEAST.replace('"asterisk"', '"pbx"') + "customer = 1\n", "kind must be asterisk or freeswitch, not 'pbx'"),
        (LEAST.replace('"s3cret"', "5") + "customer = 1\n", "secret must be a text, not ***"),
        (LEAST.replace('"s3cret"', '"a\\nb"') + "customer = 1\n", "secret must be one line"),
        (LEAST.replace('secret = "s3cret"', 'secret_file = "/nowhere"') + "customer = 1\n", "/nowhere cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(config: Write, text: str, sentence: str) -> None:
    told = refused(config(text))
    assert sentence in told
    assert "ringback.toml" in told
    assert "s3cret" not in told


def test_config_shows_connectors_without_their_secrets(config: Write, tmp_path: Path) -> None:
    text = LEAST + "customer = 1\n[[connectors.office.rules]]\ncustomer = 2\nddi = '4420'\n"
    settings_ = Settings(data_dir=str(tmp_path), database=str(tmp_path / "x.db"))
    shown = ringback(settings_, "config", RINGBACK_CONFIG=str(config(text)))
    assert "connectors.office.host" in shown.stdout
    assert "customer=2, ddi=4420" in shown.stdout
    assert "s3cret" not in shown.stdout + shown.stderr
