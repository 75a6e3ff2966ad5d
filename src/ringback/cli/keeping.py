"""`ringback retain`: what is kept no longer goes now, and its space back to the disk."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.status import Status

from ringback import resources  # noqa: F401 -- legal holds are read with its lists
from ringback.cli import console
from ringback.cli.console import Config
from ringback.cli.owners import owner
from ringback.doctor import amount
from ringback.errors import UsageError
from ringback.jobs import queue
from ringback.jobs import retain as retention
from ringback.services import Services
from ringback.store.database import Db


def register(app: typer.Typer) -> None:
    app.command("retain")(retain)


def retain(
    customer_id: Annotated[
        int | None, typer.Option("--customer", metavar="ID", help="Only this customer; else all.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Give back all the space there is, however little went.")
    ] = False,
    config: Config = None,
) -> None:
    """Delete what customers keep no longer by their `retention`, and give its space back to the disk.

    A running server does this every night by itself. Both may run at once, and requests are answered meanwhile. The
    files of recordings go as soon as a server runs. It can be stopped at any point and run again.

    Example: `ringback retain --compact --config /etc/ringback.toml`
    """
    with console.opened(config) as services, console.err.status("retention") as status:
        much = [_thinned(services, each, status) for each in _customers(services, customer_id)]
        if compact or any(each is not None for each in much):
            retention.give_back(services, thorough=compact or any(much), told=_Steps(status).told)
    console.out.print("done", markup=False)


def _customers(services: Services, customer_id: int | None) -> list[int]:
    if customer_id is not None:
        return [owner(services, customer_id)[0]]

    def work(db: Db) -> list[int]:
        sql = "SELECT id FROM customers WHERE retention IS NOT NULL AND deleted_at IS NULL ORDER BY id"
        return [row[0] for row in db.all(sql)]

    return services.database.read(work)


def _thinned(services: Services, customer_id: int, status: Status) -> bool | None:
    """Whether much went; None when nothing did."""
    now = services.clock()
    job = services.database.write(lambda db: retention.claim(db, customer_id, now))
    if job is None:
        raise UsageError(f"The retention of customer {customer_id} is running already. Try again when it has ended.")
    try:
        done = retention.thin(services, job, lambda gone: status.update(f"customer {customer_id}: {_told(gone)}"))
    except queue.Lost:
        raise UsageError(f"A server has taken the retention of customer {customer_id} up, or deletes it.") from None
    console.out.print(f"customer {customer_id}: {_told(done.gone)}", markup=False)
    return done.place.much if done.gone else None


def _told(gone: Mapping[str, int]) -> str:
    if not gone:
        return "nothing was too old or too much"
    return ", ".join(f"{n} {name}" for name, n in gone.items()) + " deleted"


class _Steps:
    """Counts the steps of giving space back."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._n = 0

    def told(self) -> None:
        self._n += 1
        self._status.update(f"giving space back, {amount(self._n, 'step')}")
