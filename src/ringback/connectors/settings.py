"""What the configuration file says of a PBX: the table `[connectors.NAME]`, whose rules tell customers of one PBX apart.

[connectors.office]
kind = "asterisk"
host = "10.0.0.5"
user = "ringback"
secret_file = "/run/secrets/ami"
customer = 1

[[connectors.office.rules]]
customer = 2
endpoint = "acme-"
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from ringback.errors import UsageError

KINDS = ("asterisk",)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}", re.ASCII)
_PREFIX = re.compile(r"\d{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """A call is of `customer` when all that is given fits one of its channels: the dial plan's context, the account code,
    the beginning of an endpoint's name, which stands before the extension, the beginning of the number that was called.
    """

    customer: int
    context: str = ""
    account: str = ""
    endpoint: str = ""
    ddi: str = ""
    dial_context: str = ""


@dataclass(frozen=True, slots=True)
class Connector:
    """`customer`: whose calls those are that no rule fits; None: they are nobody's and are not kept. `dial_context`: where
    numbers are dialled that an order names. `outside_prefix`: the digits dialled for an outside line."""

    name: str
    kind: str
    user: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 5038
    customer: int | None = None
    dial_context: str = "from-internal"
    outside_prefix: str = ""
    rules: tuple[Rule, ...] = ()

    def customers(self) -> set[int]:
        ours = set() if self.customer is None else {self.customer}
        return ours | {rule.customer for rule in self.rules}

    def endpoint_prefix(self, customer: int) -> str:
        """What stands before the extension in the names of the customer's endpoints."""
        return next((rule.endpoint for rule in self.rules if rule.customer == customer and rule.endpoint), "")

    def context_of(self, customer: int) -> str:
        """Where numbers are dialled for the customer."""
        own = (rule.dial_context for rule in self.rules if rule.customer == customer and rule.dial_context)
        return next(own, self.dial_context)


_KNOWN = [each.name for each in fields(Connector) if each.name != "name"]
_OF_RULE = [each.name for each in fields(Rule)]
_SHAPES = {"host": _HOST, "user": _WORD, "dial_context": _WORD, "outside_prefix": _PREFIX}


def connectors(tables: object, origin: str) -> tuple[Connector, ...]:
    """`tables`: what stands under `connectors`. UsageError names the first thing that is wrong; `origin` is the file."""
    if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
        raise UsageError(f"connectors in {origin} must be tables: [connectors.NAME].")
    return tuple(_connector(name, table, origin) for name, table in tables.items())


def _connector(name: str, table: Mapping[str, Any], origin: str) -> Connector:
    where = f"[connectors.{name}] in {origin}"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: a name is up to 32 letters, digits, - and _.")
    given = dict(_resolved(table, where))
    _check_known(given, _KNOWN, where)
    rules = given.pop("rules", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise UsageError(f"{where}: rules must be tables: [[connectors.{name}.rules]].")
    _check(given, Connector, where)
    made = Connector(
        name, **given, rules=tuple(_rule(each, f"[[connectors.{name}.rules]] in {origin}") for each in rules)
    )
    for sentence in _faults(made):
        raise UsageError(f"{where}: {sentence}.")
    return made


def _resolved(table: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    """The secret out of its file."""
    if "secret" in table and "secret_file" in table:
        raise UsageError(f"{where}: secret and secret_file both give secret; give one.")
    for name, value in table.items():
        if name != "secret_file":
            yield name, value
            continue
        try:
            yield "secret", Path(str(value)).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise UsageError(f"{where}: {value} cannot be read: {reason}.") from None


def _rule(table: Mapping[str, Any], where: str) -> Rule:
    _check_known(table, _OF_RULE, where)
    _check(table, Rule, where)
    made = Rule(**table)
    if not (made.context or made.account or made.endpoint or made.ddi):
        raise UsageError(f"{where}: a rule needs context, account, endpoint or ddi.")
    if made.dial_context and not _WORD.fullmatch(made.dial_context):
        raise UsageError(f"{where}: dial_context cannot be {made.dial_context!r}.")
    if made.endpoint and not _WORD.fullmatch(made.endpoint):
        raise UsageError(f"{where}: endpoint cannot be {made.endpoint!r}.")
    return made


def _check_known(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"{where}: unknown setting {name}.{hint}")


def _check(given: Mapping[str, Any], wanted: type[Connector] | type[Rule], where: str) -> None:
    """Whether all that is needed is there, and each value is a text or a whole number as it should be."""
    for each in fields(wanted):
        if each.name not in given:
            if each.default is MISSING and each.name != "name":
                raise UsageError(f"{where}: {each.name} is missing.")
            continue
        kind, what = (int, "a whole number") if each.name in {"port", "customer"} else (str, "a text")
        if type(given[each.name]) is not kind:
            shown = "***" if each.name == "secret" else repr(given[each.name])
            raise UsageError(f"{where}: {each.name} must be {what}, not {shown}.")


def _faults(made: Connector) -> Iterator[str]:
    if made.kind not in KINDS:
        yield f"kind must be {' or '.join(KINDS)}, not {made.kind!r}"
    for name, shape in _SHAPES.items():
        if not shape.fullmatch(getattr(made, name)):
            yield f"{name} cannot be {getattr(made, name)!r}"
    if not made.secret or not made.secret.isprintable():
        yield "secret must be one line of text"
    if not 0 < made.port <= 65_535:
        yield f"port must be from 1 to 65535, not {made.port}"
    if made.customer is None and not made.rules:
        yield "customer is missing: the id of the customer whose calls these are"


def shown(made: Connector) -> list[tuple[str, str]]:
    """Settings and their values, to be read by people: without the secret."""
    plain = [(name, str(getattr(made, name))) for name in _KNOWN if name not in {"secret", "rules"}]
    rules = [", ".join(f"{name}={value}" for name in _OF_RULE if (value := getattr(rule, name))) for rule in made.rules]
    return [*plain, ("secret", "***"), *(("rules", each) for each in rules)]
