"""`ringback rerate` and `ringback customer credit`: the account of a customer, for whoever runs the server."""

import re
from typing import Annotated

import typer

from ringback.cli import console
from ringback.cli.console import Config
from ringback.cli.owners import COMMAND_LINE, owner
from ringback.cli.steps import Bar
from ringback.errors import UsageError
from ringback.jobs import queue, rerate
from ringback.record import MONEY_UNIT, json_text, time_value
from ringback.services import Services
from ringback.store import audit, billing, rerating
from ringback.store.database import Db
from ringback.store.rerating import Done


def register(app: typer.Typer) -> None:
    app.command("rerate")(rerate_)


def credit(
    customer_id: Annotated[int, typer.Argument(metavar="ID", help="Which customer; `ringback customer list`.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the customer's currency, such as 100 or 12.50.")],
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What the statement says.")],
    config: Config = None,
) -> None:
    """Enter a payment: a line of the customer's statement, and the balance with it. Doing it again enters another.

    A debit is a negative amount after `--`: `ringback customer credit --description "Wrong entry" 1 -- -12.50`

    Example: `ringback customer credit 1 100 --description "Bank transfer of 3 March"`
    """
    parts = _amount(amount)
    with console.opened(config) as services:
        whose, _ = owner(services, customer_id)
        now = services.clock()

        def work(db: Db) -> int:
            balance = billing.credit(db, whose, parts, description, now)
            details = json_text({"amount": parts / MONEY_UNIT, "description": description})
            fixed = {"user_name": COMMAND_LINE, "object_class": "Customer", "object_id": whose, "details": details}
            audit.note(db, whose, at=now, action="credit", **fixed)
            return balance

        balance = services.database.write(work)
    console.out.print(f"balance  {_shown(balance)}")


def rerate_(
    start: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day, or instant, in UTC.")],
    end: Annotated[str, typer.Option("--to", metavar="DATE", help="The day, or instant, before which it ends.")],
    customer_id: Annotated[
        int | None, typer.Option("--customer", metavar="ID", help="Whose calls; needed when there are several.")
    ] = None,
    config: Config = None,
) -> None:
    """Give the outbound calls of a period the rates and charges of the deck as it is now.

    What was billed stays; each difference is a line of the statement. Doing it again changes nothing. Stopped in between, it
    is finished by a running server, or by doing it again.

    Example: `ringback rerate --from 2026-11-01 --to 2026-12-01`
    """
    first, before = _instant("--from", start), _instant("--to", end)
    if first >= before:
        raise UsageError("--to must be later than --from; the day of --to is not part of the period.")
    bar = Bar("re-rate")
    with console.opened(config) as services:
        whose, _ = owner(services, customer_id)
        job = _begun(services, whose, first, before)
        about = services.database.read(lambda db: rerating.about(db, whose, first, before))
        bar.start(about, "calls")
        try:
            done = _watched(services, job, bar)
        finally:
            bar.stop()
    if done is None:
        console.out.print("A running server has finished it; the audit log has the summary.")
    else:
        console.out.print(f"{done.calls} calls: {done.changed} changed, difference {_shown(done.difference)}")


def _begun(services: Services, customer_id: int, start: int, end: int) -> queue.Job:
    now = services.clock()
    return services.database.write(
        lambda db: rerate.enqueue(db, customer_id, start, end, {"user_name": COMMAND_LINE}, now=now, claimed=True)
    )


def _watched(services: Services, job: queue.Job, bar: Bar) -> Done | None:
    """The summary; None when another worker did the last step."""
    done = Done()
    for step in rerate.steps(services, job):
        bar.advance(step.calls - done.calls)
        done = step
        if step.is_all:
            return done
    return None


def _instant(option: str, text: str) -> int:
    at = time_value(text)
    if at is None:
        raise UsageError(f"{option}: write a date, such as 2026-11-01 or 2026-11-01 09:30, not {text!r}.")
    return at


def _amount(text: str) -> int:
    """In 1/10,000 of the currency unit, exactly."""
    found = re.fullmatch(r"([+-]?)(\d{1,9})(?:[.,](\d{1,4}))?", text, re.ASCII)
    if found is None or not text.strip("+-0.,"):
        raise UsageError(f"AMOUNT: a number other than 0 with at most 4 decimals, such as 12.50, not {text!r}.")
    parts = int(found[2]) * MONEY_UNIT + int((found[3] or "").ljust(4, "0"))
    return -parts if found[1] == "-" else parts


def _shown(parts: int) -> str:
    whole, rest = divmod(abs(parts), MONEY_UNIT)
    return f"{'-' if parts < 0 else ''}{whole}.{rest:04}"
