"""`ringback doctor asterisk`, `doctor freeswitch` and `asterisk-config`: whether a PBX tells what is needed, and what has to stand in its files."""

import secrets
from collections.abc import Iterable
from typing import Annotated

import typer

from ringback.cli import console
from ringback.cli.console import Config
from ringback.connectors.asterisk import folders, setup
from ringback.connectors.asterisk.session import Login, Session
from ringback.connectors.freeswitch import session as esl
from ringback.connectors.freeswitch import setup as freeswitch_setup
from ringback.connectors.link import Lost
from ringback.connectors.points import Point
from ringback.connectors.settings import Connector
from ringback.errors import UsageError
from ringback.settings import Settings

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in [connectors.NAME].")]
NoName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="As in [connectors.NAME].")]
USER = "ringback"


def register(app: typer.Typer) -> None:
    app.command("asterisk-config")(asterisk_config)


def asterisk(name: Name, config: Config = None) -> None:
    """Check a connected Asterisk: login, privileges, files, modules, shared folders. Prints the lines that are missing.

    Changes nothing there. Exit code: 0 when calls are told as they should be (warnings may be), 1 when not.

    Example: `ringback doctor asterisk office --config /etc/ringback.toml`
    """
    given = _named(console.configured(config), name, "asterisk")
    if _shown(_points(given)):
        console.out.print("After a change: asterisk -rx 'core reload' (modules.conf: restart Asterisk).", markup=False)
        raise typer.Exit(1)


def freeswitch(name: Name, config: Config = None) -> None:
    """Check a connected FreeSWITCH: login, password, whether calls may be heard. Changes nothing there.

    Exit code: 0 when calls are told as they should be, 1 when not.

    Example: `ringback doctor freeswitch office --config /etc/ringback.toml`
    """
    if _shown(_freeswitch_points(_named(console.configured(config), name, "freeswitch"))):
        console.out.print("After a change: fs_cli -x 'reload mod_event_socket'", markup=False)
        raise typer.Exit(1)


def _shown(points: Iterable[Point]) -> int:
    """Prints them; how many faults there are."""
    faults = 0
    for point in points:
        faults += not point.is_good and point.is_needed
        word, colour = (
            ("ok", "green") if point.is_good else ("fault", "red") if point.is_needed else ("warning", "yellow")
        )
        console.out.print(f"[{colour}]{word:8}[/]", end="")
        console.out.print(point.text, markup=False)
        if point.lines:
            console.out.print(f"\n; {point.file}\n" + "\n".join(point.lines) + "\n", markup=False)
    return faults


def _points(given: Connector) -> list[Point]:
    try:
        session = Session(Login(given.host, given.port, given.user, given.secret), lambda _: None, lambda _: None)
    except Lost as error:
        return [Point(False, True, str(error))]
    try:
        login = Point(True, True, f"login as {given.user} at {given.host}:{given.port}")
        return [login, *setup.points(session, given.user), *folders.points(session, given)]
    except Lost as error:
        return [Point(False, True, str(error))]
    finally:
        session.close()


def _freeswitch_points(given: Connector) -> list[Point]:
    login = esl.Login(given.host, given.port, given.user, given.secret)
    try:
        session = esl.Session(login, lambda _: None, lambda _: None)
    except Lost as error:
        return [Point(False, True, str(error))]
    try:
        return [
            Point(True, True, f"login at {given.host}:{given.port}"),
            *freeswitch_setup.points(session, given.secret),
        ]
    except Lost as error:
        return [Point(False, True, str(error))]
    finally:
        session.close()


def _named(found: Settings, name: str, kind: str) -> Connector:
    for each in found.connectors:
        if each.name == name:
            if each.kind != kind:
                raise UsageError(f"[connectors.{name}] is of kind {each.kind}: `ringback doctor {each.kind} {name}`.")
            return each
    known = ", ".join(each.name for each in found.connectors)
    said = f"there is {known}" if known else "`ringback asterisk-config` prints one, `--config FILE` names the file"
    raise UsageError(f"There is no [connectors.{name}] in the configuration; {said}.")


def asterisk_config(name: NoName = None, config: Config = None) -> None:
    """Print what has to stand in the files of an Asterisk, and in ours. Without NAME: with a new secret, to begin with.

    Example: `ringback asterisk-config`
    """
    if name is None:
        user, secret = USER, secrets.token_urlsafe(24)
    else:
        given = _named(console.configured(config), name, "asterisk")
        user, secret = given.user, given.secret
    for file, lines in setup.files(user, secret, "127.0.0.1").items():
        console.out.print(f"; ---- /etc/asterisk/{file}\n" + "\n".join(lines) + "\n", markup=False)
    if name is None:
        ours = (
            "[connectors.office]",
            'kind = "asterisk"',
            f'user = "{user}"',
            f'secret = "{secret}"',
            "customer = 1",
            'dial_context = "from-internal"',
            '# recordings = "/var/spool/asterisk/monitor"    # shared folders: docs/asterisk.md',
            '# voicemail = "/var/spool/asterisk/voicemail"',
        )
        console.out.print("# ---- the configuration file of Ringback\n" + "\n".join(ours), markup=False)
