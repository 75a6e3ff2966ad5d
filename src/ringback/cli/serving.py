"""`ringback serve`, `demo` and `migrate`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Annotated

import typer

from ringback import app as composition
from ringback import demo as demo_data
from ringback import first_login, logs, server, settings
from ringback.cli import console, passwords
from ringback.cli.console import Config
from ringback.cli.steps import Bar
from ringback.errors import UsageError
from ringback.identity import tokens
from ringback.opening import open_services
from ringback.services import Services
from ringback.settings import BASE_PATHS, Settings
from ringback.store import migrate as schema

DEMO_EMAIL = "admin@demo.example"
CREDENTIALS = "credentials.env"

Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Listen there instead of 127.0.0.1.")]
Port = Annotated[str | None, typer.Option("--port", metavar="N", help="Listen there instead of 8080; 0: any free one.")]


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)
    app.command("demo")(demo)
    app.command("migrate")(migrate)


def serve(config: Config = None, host: Host = None, port: Port = None) -> None:
    """Run the server. Without any setting: an SQLite database and audio under `var/ringback`, on 127.0.0.1:8080.

    An empty database gets a first customer with an administrator, whose password is printed once.

    Examples: `ringback serve`, `ringback serve --config /etc/ringback.toml`, `RINGBACK_PORT=9000 ringback serve`
    """
    found = console.configured(config, host=host, port=port)
    with _listening(found) as (services, listener):
        password = _first_login(services)
        try:
            app = composition.build(services)
        except UsageError:
            _tell(password, "The server does not start yet, but the database has been made, with this login")
            raise
        _tell(password, "The database is new. Log in with this", server.url_of(listener))
        server.serve(app, listener)


def demo(
    folder: Annotated[Path, typer.Option("--dir", metavar="FOLDER", help="Where the demo lives.")] = Path("var/demo"),
    port: Port = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Fill it only.")] = False,
) -> None:
    """Run a server filled with the calls, recordings and SIP traces of a made-up company.

    The login stands in FOLDER/credentials.env, for shells and scripts. Started again, the demo keeps data and login.
    Settings other than these two are not read, so that no other database is ever filled.

    Example: `ringback demo --dir /tmp/demo --port 8081`
    """
    found = settings.load(None, {}, data_dir=str(folder), port=port)
    if found.port:  # else the system chooses one
        found = replace(found, public_url=f"http://{found.host}:{found.port}")
    logs.configure(found.log_level)
    with _listening(found) as (services, listener):
        credentials = _demo_credentials(services, folder / CREDENTIALS, server.url_of(listener) + BASE_PATHS[0])
        guide = f"{server.url_of(listener)}/docs"
        console.out.print(_instructions(credentials, folder / CREDENTIALS, guide), markup=False)
        if not no_serve:
            server.serve(composition.build(services), listener)


def migrate(config: Config = None) -> None:
    """Bring the database to this version's schema. Make a backup before.

    An SQLite database is migrated by `ringback serve` itself; a PostgreSQL database only by this command.

    Example: `ringback migrate --config /etc/ringback.toml`
    """
    before, after = schema.upgrade(console.configured(config).database_url())
    if before == after:
        console.out.print(f"The database has schema {after} already: nothing to do.")
    elif before is None:
        console.out.print(f"The database was empty and has schema {after} now.")
    else:
        console.out.print(f"The database had schema {before} and has schema {after} now.")


@contextmanager
def _listening(found: Settings) -> Iterator[tuple[Services, socket]]:
    """The port first: a second server on a taken one shall not touch the database."""
    with server.listen(found.host, found.port) as listener:
        services = open_services(found)
        try:
            yield services, listener
        finally:
            services.database.close()


def _first_login(services: Services) -> str | None:
    """The password; None where there was one before."""
    password = passwords.made()
    named = {"customer": "My company", "cc": "GB", "currency_iso": "GBP", "email": first_login.EMAIL}
    return password if first_login.create(services, password=password, **named) is not None else None


def _tell(password: str | None, what: str, url: str = "") -> None:
    if password is None:
        return
    login = f"  email     {first_login.EMAIL}\n  password  {password}\n"
    there = f"  API       {url}{BASE_PATHS[0]}\n  guide     {url}/docs\n" if url else ""
    console.out.print(f"{what}; the password is not shown again:\n\n{login}{there}", markup=False)


def _demo_credentials(services: Services, path: Path, url: str) -> dict[str, str]:
    """What the file says, with the URL of now. Without the file the demo is filled (again): it is written last."""
    written = _read(path) or _filled(services)
    credentials = {**written, "RINGBACK_URL": url}
    _write_private(path, "".join(f"{name}={value}\n" for name, value in credentials.items()))
    return credentials


def _filled(services: Services) -> dict[str, str]:
    password = passwords.made()
    administrator = first_login.reset(services, email=DEMO_EMAIL, password=password) or first_login.create(
        services, customer="Demo Ltd", cc="GB", currency_iso="GBP", email=DEMO_EMAIL, password=password
    )
    assert administrator is not None, "a demo folder has one customer: the demo's"
    bar = Bar()
    try:
        demo_data.fill(services, administrator.customer_id, administrator.user_id, bar)
    finally:
        bar.stop()
    token = _token(services, administrator)
    return {"RINGBACK_URL": "", "RINGBACK_TOKEN": token, "RINGBACK_EMAIL": DEMO_EMAIL, "RINGBACK_PASSWORD": password}


def _token(services: Services, administrator: first_login.Administrator) -> str:
    ids = (administrator.customer_id, administrator.user_id)
    now = services.clock()
    return services.database.write(
        lambda db: tokens.add(db, *ids, kind=tokens.API, expiry_s=None, now=now, name=f"demo {now}")
    )[0]


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines if "=" in line)}


def _write_private(path: Path, text: str) -> None:
    """For the owner's eyes from the first byte on, and whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def _instructions(credentials: dict[str, str], path: Path, guide: str) -> str:
    return (
        f"The demo is at {credentials['RINGBACK_URL']}; look around in a browser at {guide}\n"
        f"  email     {credentials['RINGBACK_EMAIL']}\n"
        f"  password  {credentials['RINGBACK_PASSWORD']}\n"
        f"Try it from a shell:\n"
        f'  . {path}; curl -H "X-Auth-Token: $RINGBACK_TOKEN" "$RINGBACK_URL/cdrs?limit=3"\n'
    )
