"""Which customer a command is for."""

from ringback.errors import UsageError
from ringback.services import Services
from ringback.store.database import Db

COMMAND_LINE = "command line"
"""Who did it, in audit logs."""


def owner(services: Services, customer_id: int | None) -> tuple[int, str | None]:
    """The id and country of the customer that is named, or of the only one."""

    def work(db: Db) -> dict[int, str | None]:
        return dict(db.all("SELECT id, cc FROM customers WHERE deleted_at IS NULL ORDER BY id"))

    there = services.database.read(work)
    if customer_id is None and len(there) == 1:
        return next(iter(there.items()))
    if customer_id is None and not there:
        raise UsageError('There is no customer yet: make one with `ringback customer create "Acme Ltd" --country GB`.')
    if customer_id is None:
        raise UsageError(f"There are {len(there)} customers: say which with --customer ID (`ringback customer list`).")
    if customer_id not in there:
        raise UsageError(f"There is no customer {customer_id}. `ringback customer list` shows all.")
    return customer_id, there[customer_id]
