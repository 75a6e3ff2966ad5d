"""`DELETE /collection`: a job that the crash of a server does not stop, and the row that asks for it.

A wipe that matches a record under a legal hold is refused as a whole. A record that is held only later, while the wipe
runs, stays, and the others go.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from ringback.errors import Fault, FiltrationError, TooSlow
from ringback.jobs import queue
from ringback.query import Condition, Query, parse_filter
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import Remove
from ringback.services import Services
from ringback.store import holds
from ringback.store.database import Db, value
from ringback.store.statements import Statement

KIND = "wipe"
STEP = 1_000
LOT = 10_000


@dataclass(frozen=True)
class WipeEndpoint(Endpoint):
    """A row that wipes; `remove` takes a row away with all that hangs on it."""

    remove: Remove | None = None


def cleared(path: str, resource: Resource, remove: Remove, status: int, summary: str) -> Endpoint:
    """Everything, or what `filter` matches. 204: gone when answered; 202: goes in the background."""

    def handler(call: Call) -> replies.Reply:
        text = _filter(call, resource)
        count = _count(call, resource, text)
        _refuse_held(call, resource, text)
        job = call.services.database.write(lambda db: _ask(call, db, resource, path, text, count, status == 204))
        if status == 204:
            _run(call.services, resource, remove, job)
            call.services.database.write(lambda db: queue.finish(db, job.id))
        return replies.empty(status)

    return WipeEndpoint(
        "DELETE",
        path,
        summary,
        handler,
        Shape.EMPTY,
        status,
        roles=ADMINISTRATORS,
        work=Work.OWN,
        resource=resource,
        remove=remove,
    )


def run(endpoints: dict[str, WipeEndpoint], services: Services, job: queue.Job) -> None:
    """The job kind: goes on where a process stopped. `args`: collection, filter (text or null), up_to (highest id)."""
    endpoint = endpoints[job.args["collection"]]
    assert endpoint.resource is not None
    assert endpoint.remove is not None
    _run(services, endpoint.resource, endpoint.remove, job)


def _filter(call: Call, resource: Resource) -> str | None:
    """The filter's text; any other parameter is refused, so that a misspelt one never wipes all."""
    others = sorted({name for name, _ in call.params} - {"filter"})
    if others:
        faults = [Fault(name, "Only filter can be given here.") for name in others]
        raise FiltrationError(f"{FiltrationError.message}: unknown parameter {', '.join(others)}", faults)
    if not call.params:
        return None
    text = call.params[-1][1]
    if not parse_filter(text, resource.usable_by(call.caller)):
        raise FiltrationError(f"{FiltrationError.message}: the filter is empty", [Fault("filter", "Give an entry.")])
    return text


def _count(call: Call, resource: Resource, text: str | None) -> int | None:
    """How many match, for the audit log; None when counting them takes too long."""
    query = Query(conditions=parse_filter(text, resource.usable_by(call.caller)), limit=1)
    lists, bound = call.services.lists, call.bound()
    try:
        return call.services.database.read(lambda db: lists.page(db, resource.listing, bound, query))[1]
    except TooSlow:
        return None


def _refuse_held(call: Call, resource: Resource, text: str | None) -> None:
    """Looks at every match, where the customer has holds that may keep some."""
    database, table, customer_id = call.services.database, resource.listing.table, call.customer_id
    assert table is not None
    if not database.read(lambda db: holds.concern(db, customer_id, table.name)):
        return
    conditions = parse_filter(text, resource.usable_by(call.caller))
    statement = Statement(database.engine, resource.listing)
    sql = f"SELECT t.id FROM {statement.source} WHERE {statement.where(conditions)}"
    refuse = partial(
        holds.refuse_held,
        customer_id=customer_id,
        table_name=table.name,
        tells_reason=call.caller.is_administrator,
    )
    with database.stream(sql, {**call.bound(), **statement.values(conditions)}, LOT) as lots:
        for lot in lots:
            ids = [row[0] for row in lot]
            database.read(partial(refuse, ids=ids))


def _conditions(resource: Resource, args: Mapping[str, Any]) -> tuple[Condition, ...]:
    known = resource.listing.properties()
    return (*parse_filter(args["filter"], known), Condition(known["id"], "lte", args["up_to"]))


def _ask(
    call: Call, db: Db, resource: Resource, path: str, text: str | None, count: int | None, claimed: bool
) -> queue.Job:
    assert resource.listing.table is not None
    highest = f'SELECT max(id) FROM "{resource.listing.table.name}" WHERE customer_id = :customer'
    args = {"collection": path, "filter": text, "up_to": value(db, highest, {"customer": call.customer_id}) or 0}
    call.transaction = db
    call.audit("wipe", resource.record.__name__, filter=text, count=count)
    job_id = queue.enqueue(db, call.customer_id, KIND, args, now=call.now, claimed=claimed)
    return queue.Job(job_id, call.customer_id, KIND, args, attempts=1)


def _run(services: Services, resource: Resource, remove: Remove, job: queue.Job) -> None:
    """Matches are looked for outside of the write transactions: where no index helps, that takes long."""
    conditions = _conditions(resource, job.args)
    bound = {"customer": job.customer_id, "me": 0, "me_text": "", "sees_all": 1}

    kept: set[int] = set()
    while ids := _next(services, resource, bound, conditions, kept):
        kept |= services.database.write(partial(_step, services, resource, remove, job, ids))


def _next(
    services: Services,
    resource: Resource,
    bound: Mapping[str, Any],
    conditions: Sequence[Condition],
    kept: Set[int],
) -> list[int]:
    """Some matches, without those that are known to stay."""
    found = services.lists.matching_ids(services.database, resource.listing, bound, conditions, STEP + len(kept))
    return [each for each in found if each not in kept][:STEP]


def _step(
    services: Services, resource: Resource, remove: Remove, job: queue.Job, ids: Sequence[int], db: Db
) -> set[int]:
    """Takes rows away, and returns those of them that stay."""
    assert resource.listing.table is not None
    kept = holds.held(db, job.customer_id, resource.listing.table.name, ids)
    remove(db, job.customer_id, [each for each in ids if each not in kept])
    queue.renew(db, job.id, services.clock())
    return kept
