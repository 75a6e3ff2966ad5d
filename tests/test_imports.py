"""Who may import whom (docs/decisions/0010-layout.md), read from the code. A new room or library gets a line here."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"

_CALLBACK = ("callback.course", "callback.hours", "callback.origins", "callback.proof", "callback.rules")
PURE = ("errors", "calls", "sip", "record", "query", "rest.access", *_CALLBACK)
"""Reads no clock, no file, no database; the same input gives the same answer."""
IMPURE = {"asyncio", "os", "pathlib", "random", "secrets", "sqlite3", "subprocess", "tempfile", "threading", "time"}

_ROOMS = {
    # what things are
    "errors": "",
    "calls": "",
    "sip": "",
    "record": "calls",
    "query": "errors calls record",
    "rest.outlets": "",  # what stays open to be told
    "rest.access": "",  # roles and policies: who calls
    "callback.course": "",
    "callback.hours": "",
    "callback.origins": "",
    "callback.proof": "",
    "callback.rules": "calls",
    # the world outside: one room a neighbour
    "connectors.settings": "errors",
    "connectors.phones": "",
    "connectors.orders": "connectors.phones",
    "settings": "errors connectors.settings",
    "logs": "",
    "rounds": "errors",
    "metrics": "",
    "blobs": "",
    "mail": "settings",
    "media": "",
    "media.mp3": "media",  # the codecs
    "media.__main__": "media media.mp3",
    "store": "errors calls sip record query",
    # what requests, jobs and commands share
    "chat.sockets": "rest.outlets",
    "chat.frames": "",
    "streams.subscriptions": "errors rest.access rest.outlets",
    "identity.idle": "store",
    "services": "settings blobs chat.sockets connectors.orders store identity.idle streams.subscriptions",
    "jobs": "errors calls record metrics blobs media store services",
    "identity": "errors rest.access mail store services identity.idle jobs",
    "connectors.asterisk.marks": "calls",
    "connectors.asterisk.cel": "calls connectors.asterisk.marks",  # what files hold, too
    "connectors.freeswitch.causes": "",
    "connectors": "errors rounds calls jobs media connectors.asterisk.marks connectors.freeswitch.causes connectors.settings connectors.orders connectors.phones store services importers metrics",
    "callback": "errors rounds calls connectors.orders record mail store services jobs identity callback.course callback.hours callback.proof callback.rules",
    "chat": "errors metrics record rounds callback callback.proof callback.rules chat.sockets chat.frames mail store services jobs",
    # the API
    "rest": "errors record query rest.access rest.outlets settings metrics blobs store services jobs identity",
    "resources": "errors calls metrics chat chat.sockets chat.frames callback callback.course callback.hours callback.origins callback.proof callback.rules connectors.orders sip record query rest.access blobs mail media store services jobs identity rest rest.outlets streams streams.subscriptions",
    "streams": "errors record metrics rounds rest rest.access store services identity streams.subscriptions",
    "backups": "errors record blobs store",
    "collect": "errors rounds sip settings metrics store services",
    "importers": "errors calls connectors.asterisk.cel connectors.asterisk.marks connectors.freeswitch.causes sip media store services jobs record rest resources",
    "pages": "errors settings metrics store jobs rest resources",
    "demo": "calls record store services jobs identity rest resources importers",
    # the process
    "jobs.kinds": "jobs identity callback chat rest resources",
    "first_login": "store services identity",
    "doctor": "errors settings blobs mail store services jobs",
    "opening": "errors settings blobs store identity.idle services",
    "app": "settings rounds callback chat metrics collect connectors services jobs identity rest resources pages jobs.kinds store streams",
    "protocol": "rest",
    "server": "errors settings app chat.sockets protocol streams.subscriptions",
    "cli": "errors calls record rest.access settings logs metrics blobs store services jobs identity rest resources importers"
    " demo first_login doctor backups opening app server collect connectors connectors.settings",
    "__main__": "cli",
}
ROOMS: Mapping[str, set[str]] = {room: set(others.split()) for room, others in _ROOMS.items()}
"""Each room of the house, from the ground up, and the rooms that it imports."""

LIBRARIES: Mapping[str, set[str]] = {
    "starlette": {"rest.asgi"},
    "uvicorn": {"server", "protocol"},
    "uvloop": {"server", "collect.listener"},
    "av": {"media.mp3"},
    "lameenc": {"media.mp3"},
    "psycopg": {"store.postgres", "store.slices.postgres", "backups.postgres", "importers.asterisk_tables"},
    "pymysql": {"importers.asterisk_tables"},
    "psycopg_pool": {"store.postgres"},
    "alembic": {"store.migrate", "store.migrations"},
    "obstore": {"blobs"},
    "dpkt": {"sip.capture"},
    "phonenumbers": {"calls.numbers"},
    "iptocc": {"callback.whereabouts"},
    "maxminddb": {"callback.whereabouts"},
    "arro3": {"resources.history.parquet"},
    "argon2": {"identity.passwords"},
    "pyotp": {"identity.second_factor"},
    "prometheus_client": {"metrics"},
    "typer": {"cli"},
    "rich": {"cli"},
    "sqlalchemy": {"store", "jobs", "importers", "resources", "doctor", "backups"},  # tables; statements are texts
    "msgspec": {
        "record",
        "chat.frames",
        "store.tombstones",
        "store.registrations",
        "store.mediasessions",
        "rest",
        "resources",
        "streams",
        "importers",
        "pages",
        "protocol",
        "demo",
        "backups",
    },
    "structlog": {
        "chat.reader",
        "logs",
        "server",
        "collect",
        "connectors",
        "callback.runner",
        "jobs.retain",
        "jobs.worker",
        "rest.machine",
        "rounds",
        "streams.reader",
    },
}
"""Who may import what is not ours, and not Python's."""


def _modules() -> dict[str, Path]:
    """By name below `ringback`; a package by its own name."""
    files = sorted((SOURCE / "ringback").rglob("*.py"))
    return {
        ".".join(file.relative_to(SOURCE).with_suffix("").parts[1:]).removesuffix(".__init__"): file for file in files
    }


MODULES = {name: file for name, file in _modules().items() if name != "__init__"}


def imported(file: Path) -> Iterator[str]:
    """Full names, of imports within functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: say from where"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def ours(file: Path) -> set[str]:
    """The modules of ours that a file imports."""
    names = (name.removeprefix("ringback.") for name in imported(file) if name.startswith("ringback."))
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    """The narrowest room that the module is in."""
    return max((room for room in ROOMS if within(module, room)), key=len, default="")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = room_of(module)
    assert room, f"{module} is in no room"
    others = {each: room_of(each) for each in ours(MODULES[module])}
    assert {name: other for name, other in others.items() if other not in {room, *ROOMS[room]}} == {}


def test_every_permission_is_used() -> None:
    used = {(room_of(name), room_of(each)) for name, file in MODULES.items() for each in ours(file)}
    assert {(room, other) for room, others in ROOMS.items() for other in others} <= used


def test_rooms_and_modules_have_an_order() -> None:
    """`static_order` raises CycleError for a circle, and names it."""
    list(TopologicalSorter(ROOMS).static_order())
    list(TopologicalSorter({name: ours(file) - {name} for name, file in MODULES.items()}).static_order())


def test_a_library_stays_behind_its_door() -> None:
    tops = {(name.partition(".")[0], module) for module, file in MODULES.items() for name in imported(file)}
    foreign = {(top, module) for top, module in tops if top not in sys.stdlib_module_names and top != "ringback"}
    assert {top for top, _ in foreign} == LIBRARIES.keys()
    assert [each for each in foreign if not any(within(each[1], door) for door in LIBRARIES[each[0]])] == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_do_no_input_and_output(room: str) -> None:
    files = [file for name, file in MODULES.items() if within(name, room)]
    assert files
    assert {name.partition(".")[0] for file in files for name in imported(file)} & IMPURE == set()


def test_the_server_starts_without_codecs_and_clouds() -> None:
    code = "import sys; import ringback.cli.serving; print(*(sys.modules.keys() & {'av', 'lameenc', 'obstore', 'phonenumbers'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
