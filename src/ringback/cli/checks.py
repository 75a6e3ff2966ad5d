"""`ringback doctor`, `config` and `routes`: looking, without changing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import typer

from ringback import doctor as checks
from ringback import settings
from ringback.cli import console
from ringback.cli.backups import verify_installation
from ringback.cli.connecting import asterisk, freeswitch
from ringback.cli.console import Config
from ringback.connectors import settings as connectors
from ringback.doctor import Finding, Level
from ringback.opening import open_services
from ringback.resources import ENDPOINTS
from ringback.rest.access import EVERYBODY, Role
from ringback.rest.endpoint import Endpoint
from ringback.settings import BASE_PATHS, Settings

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}


def register(app: typer.Typer) -> None:
    doctors = console.group(doctor.__doc__ or "")
    doctors.callback(invoke_without_command=True, no_args_is_help=False)(doctor)
    doctors.command("verify")(verify_installation)
    doctors.command("asterisk")(asterisk)
    doctors.command("freeswitch")(freeswitch)
    app.add_typer(doctors, name="doctor")
    app.command("config")(config_)
    app.command("routes")(routes)


def doctor(context: typer.Context, config: Config = None) -> None:
    """Check the installation: settings, database, totals, audio, mail, disk. Each line says what to do.

    Exit code: 0 when there is no fault (warnings may be), 1 when there is one.

    Example: `ringback doctor --config /etc/ringback.toml`
    """
    if context.invoked_subcommand:
        return
    found = console.configured(config)
    seen: Counter[Level] = Counter()
    for level, text in _findings(found):
        seen[level] += 1
        console.out.print(f"[{_COLOURS[level]}]{level:8}[/]", end="")
        console.out.print(text, markup=False)
    console.out.print(f"{checks.amount(seen[Level.FAULT], 'fault')}, {checks.amount(seen[Level.WARNING], 'warning')}")
    if seen[Level.FAULT]:
        raise typer.Exit(1)


def _findings(found: Settings) -> Iterator[Finding]:
    yield from checks.of_settings(found)
    yield from checks.of_disk(found)
    yield from checks.of_mail(found)
    database = list(checks.of_database(found))
    yield from database
    if all(each.level is Level.OK for each in database):
        services = open_services(found)
        yield from checks.of_jobs(services)
        yield from checks.of_audio_inbox(services)
        yield from checks.of_callbacks(services)
        yield from checks.of_counters(services)
        yield from checks.of_kept(services)
        yield from checks.of_blobs(services)
        services.database.close()


def config_(config: Config = None) -> None:
    """Show every setting: its value, where that is from, and what it means. Secrets are masked.

    A setting NAME is set by the environment variable RINGBACK_NAME or by `name = value` in the file of `--config`
    (or RINGBACK_CONFIG). A secret may stand in a file of its own: RINGBACK_METRICS_TOKEN_FILE=/run/secrets/metrics.

    Example: `ringback config --config /etc/ringback.toml`
    """
    found = console.configured(config)
    origins = {name: each.origin for name, each in settings.given(config).items()}
    shown = console.table("setting", "value", "from", "meaning")
    effective = {**asdict(found), "database": found.database_url(), "blobs": found.blobs_url()}
    for name, each in settings.KNOWN.items():
        cells = (
            name,
            settings.masked(name, effective[name]),
            origins.get(name, "default"),
            each.metadata["meaning"],
        )
        shown.add_row(*(console.plain(cell) for cell in cells))
    for connector in found.connectors:
        for name, value in connectors.shown(connector):
            cells = (f"connectors.{connector.name}.{name}", value, str(config), "")
            shown.add_row(*(console.plain(cell) for cell in cells))
    console.show(shown)


def routes() -> None:
    """List every operation of the API: who may call it, which team policies close it, what it answers.

    The paths are below each of the three base paths, such as `/v1.1/voipstudio`.

    Example: `ringback routes | grep DELETE`
    """
    shown = console.table("method", "path", "roles", "closed by", "status", "")
    for each in sorted(ENDPOINTS, key=lambda row: (row.path, row.method)):
        cells = (each.method, each.path, _roles(each), _policies(each), str(each.status), each.summary)
        shown.add_row(*(console.plain(cell) for cell in cells))
    console.show(shown)
    console.err.print(f"{len(ENDPOINTS)} operations below {', '.join(BASE_PATHS)}", markup=False)


def _roles(each: Endpoint) -> str:
    if each.open:
        return "no login"
    return "all" if each.roles == EVERYBODY else ", ".join(role for role in Role if role in each.roles)


def _policies(each: Endpoint) -> str:
    return ", ".join(sorted(each.closing)) or "-"
