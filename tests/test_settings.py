"""Where settings come from, which wins, and what is refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from ringback import settings
from ringback.errors import UsageError


def refused(**environment: str) -> str:
    with pytest.raises(UsageError) as caught:
        settings.load(None, {f"RINGBACK_{name.upper()}": value for name, value in environment.items()})
    return str(caught.value)


@pytest.fixture
def config(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "ringback.toml"
        path.write_text(text)
        return path

    return write


def test_without_any_setting_a_local_server_on_loopback_comes_out() -> None:
    found = settings.load(None, {})
    assert (found.host, found.port) == ("127.0.0.1", 8080)
    assert found.database_url() == "var/ringback/ringback.db"
    assert found.blobs_url() == "var/ringback/blobs"
    assert found.is_embedded()


def test_a_flag_wins_over_the_environment_which_wins_over_the_file_which_wins_over_the_default(config: Any) -> None:
    path = config('port = 1\nhost = "10.0.0.1"\nlog_level = "debug"')
    found = settings.load(path, {"RINGBACK_PORT": "2", "RINGBACK_HOST": "10.0.0.2"}, port=3, host=None)
    assert (found.port, found.host, found.log_level, found.query_timeout_s) == (3, "10.0.0.2", "debug", 10.0)


def test_each_value_knows_where_it_is_from(config: Any) -> None:
    path = config('port = 1\nhost = "10.0.0.1"')
    found = settings.given(path, {"RINGBACK_PORT": "2"}, data_dir="x")
    origins = {name: each.origin for name, each in found.items()}
    assert origins == {"port": "RINGBACK_PORT", "host": f"host in {path}", "data_dir": "--data-dir"}


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(config: Any) -> None:
    assert "Did you mean trusted_proxies?" in refused(trusted_proxy="10.0.0.0/8")
    assert "Did you mean host and port?" in refused(listen="127.0.0.1:80")
    with pytest.raises(UsageError, match=r"datbase in .*ringback\.toml\. Did you mean database\?"):
        settings.load(config('datbase = "x"'), {})


def test_what_the_demo_writes_for_clients_is_no_setting() -> None:
    environment = {f"RINGBACK_{name}": "x" for name in ("URL", "TOKEN", "EMAIL", "PASSWORD", "CONFIG", "TEST_ENGINE")}
    assert settings.load(None, environment) == settings.Settings()


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path, config: Any) -> None:
    secret = tmp_path / "metrics-token"
    secret.write_text("from-a-file\n")
    from_environment = settings.load(None, {"RINGBACK_METRICS_TOKEN_FILE": str(secret)})
    from_file = settings.load(config(f'metrics_token_file = "{secret}"'), {})
    assert from_environment.metrics_token == from_file.metrics_token == "from-a-file"


def test_a_secret_file_in_the_environment_wins_over_the_secret_in_the_file(tmp_path: Path, config: Any) -> None:
    secret = tmp_path / "metrics-token"
    secret.write_text("newer")
    environment = {"RINGBACK_METRICS_TOKEN_FILE": str(secret)}
    assert settings.load(config('metrics_token = "older"'), environment).metrics_token == "newer"


def test_a_secret_file_that_is_missing_is_named() -> None:
    assert refused(metrics_token_file="/nowhere/at/all") == (
        "RINGBACK_METRICS_TOKEN_FILE: /nowhere/at/all cannot be read: No such file or directory."
    )


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    assert refused(metrics_token="a", metrics_token_file=str(tmp_path)) == (
        "RINGBACK_METRICS_TOKEN and RINGBACK_METRICS_TOKEN_FILE both give metrics_token; give one."
    )


def test_only_secrets_may_stand_in_files() -> None:
    assert "Unknown setting" in refused(host_file="/etc/hostname")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("port", "many", "port must be a whole number, not 'many' (RINGBACK_PORT)."),
        ("port", "", "port must be a whole number, not '' (RINGBACK_PORT)."),
        ("port", "70000", "port must be from 0 to 65535, not 70000 (RINGBACK_PORT)."),
        ("query_timeout_s", "0", "query_timeout_s must be more than 0 (RINGBACK_QUERY_TIMEOUT_S)."),
        ("query_timeout_s", "nan", "query_timeout_s must be more than 0 (RINGBACK_QUERY_TIMEOUT_S)."),
        (
            "trusted_proxies",
            "10.0.0.0/8, proxy",
            "trusted_proxies: 'proxy' is no address or network (RINGBACK_TRUSTED_PROXIES).",
        ),
        ("log_level", "loud", "log_level must be one of debug, info, warning, error, not 'loud' (RINGBACK_LOG_LEVEL)."),
        ("sip_mask", "true", "sip_mask must be yes or no, not 'true' (RINGBACK_SIP_MASK)."),
        ("public_url", "calls.example.com", "public_url must begin with https:// or http:// (RINGBACK_PUBLIC_URL)."),
        ("smtp_url", "mail.example.com:25", "smtp_url must begin with smtp:// or smtps:// (RINGBACK_SMTP_URL)."),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str, sentence: str) -> None:
    assert refused(**{name: value}) == sentence


@pytest.mark.parametrize("line", ["port = true", "port = 80.5", "port = [80]", "host = 5", "host = false"])
def test_a_value_of_another_type_in_the_file_is_refused(line: str, config: Any) -> None:
    with pytest.raises(UsageError, match="must be a"):
        settings.load(config(line), {})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("port 80", "is not valid TOML"), ("\udcff", "is not valid TOML"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_used_is_one_sentence(content: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "ringback.toml"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=sentence):
        settings.load(path, {})


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("metrics_token", "abc", "***"),
        ("metrics_token", "", ""),
        ("database", "postgresql://ringback:se:cr@et@db/calls", "postgresql://ringback:***@db/calls"),
        (
            "database",
            "postgresql:///calls?host=/run&password=secret&user=x",
            "postgresql:///calls?host=/run&password=***&user=x",
        ),
        ("database", "/var/lib/ringback/ringback.db", "/var/lib/ringback/ringback.db"),
        ("smtp_url", "smtp://user:secret@mail.example.com:587", "smtp://user:***@mail.example.com:587"),
        ("port", 8080, "8080"),
    ],
)
def test_secrets_are_not_shown(name: str, value: Any, shown: str) -> None:
    assert settings.masked(name, value) == shown
