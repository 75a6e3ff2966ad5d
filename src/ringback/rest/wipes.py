"""`DELETE /collection`: a job that the crash of a server does not stop, and the row that asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ringback.errors import Fault, FiltrationError
from ringback.jobs import queue
from ringback.query import Condition, Query, parse_filter
from ringback.record import Attribute
from ringback.rest import replies
from ringback.rest.access import ADMINISTRATORS
from ringback.rest.endpoint import Call, Endpoint, Resource, Shape, Work
from ringback.rest.verbs import Remove
from ringback.services import Services
from ringback.store.database import Db, value

KIND = "wipe"
STEP = 1_000


@dataclass(frozen=True)
class WipeEndpoint(Endpoint):
    """A row that wipes; `remove` takes a row away with all that hangs on it."""

    remove: Remove | None = None


def cleared(path: str, resource: Resource, remove: Remove, status: int, summary: str) -> Endpoint:
    """Everything, or what `filter` matches. 204: gone when answered; 202: goes in the background."""

    def handler(call: Call) -> replies.Reply:
        text = _filter(call)
        job = call.services.database.write(lambda db: _ask(call, db, resource, path, text, claimed=status == 204))
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


def _filter(call: Call) -> str | None:
    """The filter's text; any other parameter is refused, so that a misspelt one never wipes all."""
    others = sorted({name for name, _ in call.params} - {"filter"})
    if others:
        faults = [Fault(name, "Only filter can be given here.") for name in others]
        raise FiltrationError(f"{FiltrationError.message}: unknown parameter {', '.join(others)}", faults)
    if not call.params:
        return None
    text = call.params[-1][1]
    if not parse_filter(text, _known(call)):
        raise FiltrationError(f"{FiltrationError.message}: the filter is empty", [Fault("filter", "Give an entry.")])
    return text


def _known(call: Call) -> Mapping[str, Attribute]:
    """What the caller may filter by."""
    assert call.endpoint.resource is not None
    hidden = call.endpoint.resource.hidden_from(call.caller)
    known = call.endpoint.resource.listing.attributes()
    return {name: attribute for name, attribute in known.items() if name not in hidden}


def _conditions(resource: Resource, args: Any) -> tuple[Condition, ...]:
    known = resource.listing.attributes()
    return (*parse_filter(args["filter"], known), Condition(known["id"], "lte", args["up_to"]))


def _ask(call: Call, db: Db, resource: Resource, path: str, text: str | None, *, claimed: bool) -> queue.Job:
    assert resource.listing.table is not None
    highest = f'SELECT max(id) FROM "{resource.listing.table.name}" WHERE customer_id = :customer'
    args = {"collection": path, "filter": text, "up_to": value(db, highest, {"customer": call.customer_id}) or 0}
    call.transaction = db
    query = Query(conditions=parse_filter(text, _known(call)), limit=1)
    _, total = call.services.lists.page(db, resource.listing, call.bound(), query)
    call.audit("wipe", resource.record.__name__, filter=text, count=total)
    job_id = queue.enqueue(db, call.customer_id, KIND, args, now=call.now, claimed=claimed)
    return queue.Job(job_id, call.customer_id, KIND, args, attempts=1)


def _run(services: Services, resource: Resource, remove: Remove, job: queue.Job) -> None:
    conditions = _conditions(resource, job.args)
    bound = {"customer": job.customer_id, "me": 0, "me_text": "", "sees_all": 1}

    def step(db: Db) -> bool:
        ids = services.lists.matching_ids(db, resource.listing, bound, conditions, STEP)
        remove(db, job.customer_id, ids)
        queue.renew(db, job.id, services.clock())
        return len(ids) == STEP

    while services.database.write(step):
        pass
