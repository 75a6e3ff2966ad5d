"""Every setting, in one table: name, default, what it means. Environment, configuration file and `ringback config` derive from it.

A setting comes from a flag of the command, else from the environment (`RINGBACK_DATABASE`), else from the file (`database = "…"`,
TOML), else from its default. A secret may stand in a file of its own: `metrics_token_file = "/path"` or
`RINGBACK_METRICS_TOKEN_FILE`.
"""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from ringback.connectors.settings import Connector, connectors
from ringback.errors import UsageError

PREFIX = "RINGBACK_"
CONFIG = f"{PREFIX}CONFIG"  # names the file, so it is no setting
BASE_PATHS = ("/v1.1/voipstudio", "/v1.2/voipstudio", "/v1/voipstudio")


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    data_dir: str = _setting("var/ringback", "Folder of the database and the audio, unless these are set.")
    database: str = _setting("", "postgresql://user:password@host/name, or the path of an SQLite file.", secret=True)
    blobs: str = _setting("", "Where audio is kept: a folder, or s3://bucket/prefix (gs://, az:// alike).")
    host: str = _setting("127.0.0.1", "Address to listen on. Keep loopback and put a TLS proxy in front.")
    port: int = _setting(8080, "Port to listen on.")
    public_url: str = _setting("", "The URL under which clients reach this server, for links in mails and answers.")
    trusted_proxies: str = _setting("", "Addresses or networks (comma-separated) whose X-Forwarded-For is believed.")
    metrics_token: str = _setting("", "Bearer token for /metrics; without one /metrics is closed.", secret=True)
    smtp_url: str = _setting("", "smtp://user:password@host:587 (STARTTLS) or smtps://… to send mail.", secret=True)
    mail_from: str = _setting("", "Sender address of mails.")
    query_timeout_s: float = _setting(10.0, "After this many seconds a database query ends with 503.")
    hep_listen: str = _setting("", "Addresses to take captured signalling at (HEP): 127.0.0.1:9060, tls://[::1]:9061.")
    hep_sources: str = _setting(
        "", "Who may send it, a source a line: customer=1 key=… networks=… capture_id=…", secret=True
    )
    hep_leave_out: str = _setting("", "SIP methods (comma-separated) that are not kept, such as REGISTER, OPTIONS.")
    hep_tls_certificate: str = _setting("", "File of the certificate chain for tls:// addresses (PEM).")
    hep_tls_key: str = _setting("", "File of its private key, unless it stands in the same file.")
    hep_metrics: str = _setting("", "Address where `collect hep` answers /metrics, such as 127.0.0.1:9101.")
    sip_mask: str = _setting("no", "yes: digest responses and SRTP keys in captured SIP are stored as asterisks.")
    geoip_database: str = _setting(
        "", "An MMDB file of cities, for visitors of Call Me Back; without it their countries alone."
    )
    visitor_ip_days: int = _setting(30, "After so many days the addresses of Call Me Back visitors are shortened.")
    log_level: str = _setting("info", "debug, info, warning or error.")
    connectors: tuple[Connector, ...] = ()
    """Of the file alone; `KNOWN` has the others."""

    def database_url(self) -> str:
        return self.database or str(Path(self.data_dir) / "ringback.db")

    def blobs_url(self) -> str:
        return self.blobs or str(Path(self.data_dir) / "blobs")

    def api_url(self, path: str) -> str:
        """The URL of a path of the API; relative to this server where `public_url` is not set."""
        return f"{self.public_url.rstrip('/')}{BASE_PATHS[0]}{path}"

    def masks_sip(self) -> bool:
        """Whether secrets in captured SIP are masked before anything is stored."""
        return self.sip_mask == "yes"

    def is_embedded(self) -> bool:
        """Whether the database is an SQLite file, which the server migrates by itself at start."""
        return not self.database_url().startswith(("postgresql://", "postgres://"))


KNOWN = {each.name: each for each in fields(Settings) if each.name != "connectors"}
LOG_LEVELS = ("debug", "info", "warning", "error")

# Variables of ours that are no settings: what `demo` writes to credentials.env for clients, the login of an account that is
# copied, and what tests and tools read.
_NOT_SETTINGS = {CONFIG, *(PREFIX + name for name in ("URL", "TOKEN", "EMAIL", "PASSWORD"))}
_NOT_SETTINGS_BEGIN = tuple(PREFIX + name for name in ("SOURCE_", "TEST_", "DEMO_", "LAB_"))


class Given(NamedTuple):
    """A value as somebody gave it. `origin` says where: `RINGBACK_PORT`, `port in /etc/ringback.toml`, `--port`."""

    value: Any
    origin: str


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ, **flags: Any) -> Settings:
    """The settings from flags (None: not given), environment and file. UsageError says which value is wrong, and why."""
    values = given(path, environment, **flags)
    typed = {name: _typed(name, each) for name, each in values.items()}
    settings = Settings(**typed, connectors=connectors(_content(path).get("connectors", {}), str(path)))
    for name, sentence in _faults(settings):
        raise UsageError(f"{sentence} ({values[name].origin}).")
    return settings


def given(path: Path | None = None, environment: Mapping[str, str] = os.environ, **flags: Any) -> dict[str, Given]:
    """What is not left to its default. UsageError names an unknown setting and the nearest known one."""
    from_flags = {
        name: Given(value, f"--{name.replace('_', '-')}") for name, value in flags.items() if value is not None
    }
    return {**_from_file(path), **_from_environment(environment), **from_flags}


def masked(name: str, value: Any) -> str:
    """A value to show: without the password of a URL, and without a secret altogether."""
    text = str(value)
    if not KNOWN[name].metadata["secret"] or not text:
        return text
    if "://" in text:
        return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"(?<=://)([^@/]*?:)[^/]*@", r"\1***@", text))
    return text if name == "database" else "***"


def _from_file(path: Path | None) -> dict[str, Given]:
    plain = ((name, value) for name, value in _content(path).items() if name != "connectors")
    return _resolved((name, Given(value, f"{name} in {path}")) for name, value in plain)


def _content(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    ours = [name for name in environment if name.startswith(PREFIX) and name not in _NOT_SETTINGS]
    return _resolved(
        (name.removeprefix(PREFIX).lower(), Given(environment[name], name))
        for name in ours
        if not name.startswith(_NOT_SETTINGS_BEGIN)
    )


def _resolved(pairs: Iterable[tuple[str, Given]]) -> dict[str, Given]:
    """By setting; secrets that stand in files are read. UsageError for an unknown name, and for a secret given twice."""
    found: dict[str, Given] = {}
    for name, each in pairs:
        key = _setting_of(name, each.origin)
        if key in found:
            raise UsageError(f"{found[key].origin} and {each.origin} both give {key}; give one.")
        found[key] = each if key == name else Given(_secret(each), each.origin)
    return found


def _setting_of(name: str, origin: str) -> str:
    base = name.removesuffix("_file")
    if name in KNOWN:
        return name
    if base in KNOWN and KNOWN[base].metadata["secret"]:
        return base
    near = [_MEANT[name]] if name in _MEANT else difflib.get_close_matches(name, KNOWN, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"Unknown setting: {origin}.{hint} `ringback config` lists all.")


_MEANT = dict.fromkeys(("listen", "bind", "address"), "host and port")
"""What others call these two."""


def _secret(each: Given) -> str:
    try:
        return Path(str(each.value)).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"{each.origin}: {each.value} cannot be read: {reason}.") from None


def _typed(name: str, each: Given) -> Any:
    """The value as its setting's type; text becomes a number, but nothing else becomes anything else."""
    wanted: type = type(KNOWN[name].default)
    accepted: tuple[type, ...] = {float: (float, int, str), int: (int, str)}.get(wanted, (str,))
    if isinstance(each.value, accepted) and not isinstance(each.value, bool):
        try:
            return wanted(each.value)
        except ValueError:
            pass
    what = {int: "a whole number", float: "a number"}.get(wanted, "a text")
    raise UsageError(f"{name} must be {what}, not {each.value!r} ({each.origin}).")


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong with it); only what was given can be wrong."""
    yield from _proxy_faults(settings.trusted_proxies)
    yield from _scheme_faults("public_url", settings.public_url, "https://", "http://")
    yield from _scheme_faults("smtp_url", settings.smtp_url, "smtp://", "smtps://")
    if settings.smtp_url and not settings.mail_from:
        yield "smtp_url", "smtp_url needs mail_from, the sender address of mails"
    if settings.log_level not in LOG_LEVELS:
        yield "log_level", f"log_level must be one of {', '.join(LOG_LEVELS)}, not {settings.log_level!r}"
    if settings.sip_mask not in ("yes", "no"):
        yield "sip_mask", f"sip_mask must be yes or no, not {settings.sip_mask!r}"
    if not 0 <= settings.port <= 65_535:
        yield "port", f"port must be from 0 to 65535, not {settings.port}"
    if settings.visitor_ip_days < 0:
        yield "visitor_ip_days", f"visitor_ip_days must not be negative, not {settings.visitor_ip_days}"
    if not 0 < settings.query_timeout_s < math.inf:
        yield "query_timeout_s", "query_timeout_s must be more than 0"


def _proxy_faults(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            ip_network(part, strict=False)
        except ValueError:
            yield "trusted_proxies", f"trusted_proxies: {part!r} is no address or network"


def _scheme_faults(name: str, value: str, *schemes: str) -> Iterator[tuple[str, str]]:
    if value and not value.startswith(schemes):
        yield name, f"{name} must begin with {' or '.join(schemes)}"
