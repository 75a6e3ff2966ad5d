"""Whose phones are whose, where several customers share one PBX: no order of one rings what may be another one's."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set

import structlog

from ringback.calls import ordered
from ringback.calls.ledger import Call
from ringback.calls.ledger.state import Leg
from ringback.connectors.journal import Origin
from ringback.connectors.orders import NotDone, Offline, Origination
from ringback.connectors.settings import Connector, Rule
from ringback.importers.call_rows import OTHERS

log = structlog.get_logger()

_EXTENSION = re.compile(r"[0-9*#]+", re.ASCII)


def endpoint(connector: Connector, order: Origination) -> str:
    """Of the phone that is rung first. Offline where nothing says that it is the customer's."""
    found = connector.endpoint_of(order.customer_id, order.first)
    if found is None:
        told = {"pbx": connector.name, "customer": order.customer_id, "extension": order.first}
        log.warning("a phone is not rung: no rule says by its endpoint that it is the customer's", **told)
        raise Offline
    return found


def context(connector: Connector, customer_id: int) -> str:
    """Where numbers are dialled for the customer. NotDone where that would be among another one's phones."""
    found = connector.context_of(customer_id)
    if found is None:
        told = {"pbx": connector.name, "customer": customer_id}
        log.warning("nothing is dialled: the customer's rule has no dial_context", **told)
        raise NotDone("The PBX has no dial_context for this customer.")
    return found


def bare(connector: Connector, customer_id: int, name: str) -> str:
    """The endpoint of that name in a call of the customer: the extension, where it is the customer's. Another one's, whose name could
    be an extension, stands behind `OTHERS`."""
    owner = connector.owner(name)
    if owner is not None and owner[0] == customer_id:
        return owner[1]
    are_known = customer_id == connector.customer or connector.endpoint_prefix(customer_id) != ""
    is_other = are_known and not connector.is_alone(customer_id) and _EXTENSION.fullmatch(name) is not None
    return f"{OTHERS}{name}" if is_other else name


def customer_of(connector: Connector, call: Call, origins: Mapping[str, Origin]) -> int | None:
    """Whose call it is: who has ordered it, else what the rules say; None for nobody's. `origins`: by the ids of channels."""
    orderer = _orderer(connector, call.legs)
    if orderer is not None:
        return orderer
    for rule in connector.rules:
        if any(_fits(rule, leg, origins.get(leg.id)) for leg in call.legs.values()):
            return rule.customer
    return connector.customer


def _orderer(connector: Connector, channels: Iterable[str]) -> int | None:
    """Who has ordered the call of these channels; None where it was nobody of this PBX."""
    orderers = filter(None, map(ordered.owner, channels))
    return next((each for each in orderers if each in connector.customers()), None)


def _fits(rule: Rule, leg: Leg, known: Origin | None) -> bool:
    origin = known or Origin(leg.id, "", "", leg.dialled)
    return (
        (not rule.context or origin.context == rule.context)
        and (not rule.account or origin.account == rule.account)
        and (not rule.endpoint or leg.endpoint.startswith(rule.endpoint))
        and (not rule.ddi or origin.dialled.lstrip("+").startswith(rule.ddi))
    )


class Share:
    """The calls of one customer out of what a PBX of several has told: `importer.Share`."""

    def __init__(self, connector: Connector, customer_id: int) -> None:
        self._connector, self._customer_id = connector, customer_id
        self._origins: dict[str, Origin] = {}
        self.customers: Set[int] = connector.customers()
        self.by_endpoints = not any(each.context or each.account or each.ddi for each in connector.rules)

    def began(self, channel: str, context: str, account: str, dialled: str) -> None:
        self._origins[channel] = Origin(channel, context, account, dialled)

    def has(self, call: Call) -> bool:
        """Asked once, when the call is over."""
        whose = customer_of(self._connector, call, self._origins)
        for leg in call.legs:
            self._origins.pop(leg, None)
        return whose == self._customer_id

    def has_record(self, channels: Sequence[str], endpoints: Sequence[str]) -> bool:
        """`channels`: ids."""
        orderer = _orderer(self._connector, channels)
        if orderer is not None:
            return orderer == self._customer_id
        for rule in self._connector.rules:
            if any(name.startswith(rule.endpoint) for name in endpoints):
                return rule.customer == self._customer_id
        return self._connector.customer == self._customer_id

    def bare(self, endpoint: str) -> str:
        return bare(self._connector, self._customer_id, endpoint)


def checked(shape: re.Pattern[str], text: str) -> str:
    """What goes into a command of a PBX. NotDone where it has another shape."""
    if not shape.fullmatch(text):
        raise NotDone("The PBX cannot dial that.")
    return text
