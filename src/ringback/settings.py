"""Every setting, in one table: name, default, what it means. Environment, configuration file and `ringback config` derive from it.

A setting comes from the environment (`RINGBACK_DATABASE`), else from the file (`database = "…"`, TOML), else from its default.
A secret may stand in a file of its own: `metrics_token_file = "/path"` or `RINGBACK_METRICS_TOKEN_FILE`.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from ringback.errors import UsageError

PREFIX = "RINGBACK_"
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
    log_level: str = _setting("info", "debug, info, warning or error.")

    def database_url(self) -> str:
        return self.database or str(Path(self.data_dir) / "ringback.db")

    def blobs_url(self) -> str:
        return self.blobs or str(Path(self.data_dir) / "blobs")

    def is_embedded(self) -> bool:
        """Whether the database is an SQLite file, which the server migrates by itself at start."""
        return not self.database_url().startswith(("postgresql://", "postgres://"))


KNOWN = {each.name: each for each in fields(Settings)}


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ, **flags: Any) -> Settings:
    """The settings from flags, environment and file. UsageError names an unknown setting and the nearest known one."""
    given = {**_from_file(path), **_from_environment(environment)}
    given |= {name: value for name, value in flags.items() if value is not None}
    values = {name: _typed(name, value) for name, value in given.items()}
    settings = Settings(**values)
    _check(settings)
    return settings


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None
    return dict(_resolved(name, value, f"in {path}") for name, value in content.items())


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and not name.startswith(("test_", "demo_", "lab_")):
            key, resolved = _resolved(name, value, "in the environment")
            found[key] = resolved
    return found


def _resolved(name: str, value: Any, where: str) -> tuple[str, Any]:
    """The setting's name and value; a secret's `_file` is read."""
    if name in KNOWN:
        return name, value
    base = name.removesuffix("_file")
    if base in KNOWN and KNOWN[base].metadata["secret"]:
        try:
            return base, Path(str(value)).read_text().strip()
        except OSError as error:
            raise UsageError(f"{name} {where}: {value} cannot be read: {error.strerror}.") from None
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"Unknown setting {name!r} {where}.{hint} `ringback config` lists all.")


def _typed(name: str, value: Any) -> Any:
    wanted = KNOWN[name].type
    try:
        return {"int": int, "float": float}.get(str(getattr(wanted, "__name__", wanted)), str)(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be a number, not {value!r}.") from None


def _check(settings: Settings) -> None:
    for part in filter(None, (each.strip() for each in settings.trusted_proxies.split(","))):
        try:
            ip_network(part, strict=False)
        except ValueError:
            raise UsageError(f"trusted_proxies: {part!r} is no address or network.") from None
    if not 0 <= settings.port <= 65_535:
        raise UsageError(f"port must be from 0 to 65535, not {settings.port}.")
    if settings.query_timeout_s <= 0:
        raise UsageError("query_timeout_s must be more than 0.")
