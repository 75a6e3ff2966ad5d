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
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ringback.errors import UsageError

PORTS = {"asterisk": 5038, "freeswitch": 8021}
"""Of each kind, where it listens if nothing else is said."""
MARKED = "asterisk"
"""Its ids are a second and a count; those of others are unique by themselves."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}", re.ASCII)
_LOGIN = re.compile(r"([A-Za-z0-9_.-]{1,79}@[A-Za-z0-9_.-]{1,253})?", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9_.:-]{0,253}", re.ASCII)
_PATH = re.compile(r"(/[^\0\r\n]{1,1000})?")
_PREFIX = re.compile(r"\d{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """A call is of `customer` when all that is given fits one of its channels: the dial plan's context, the account code,
    the beginning of an endpoint's name, which stands before the extension, the beginning of the number that was called.
    `voicemail_context`: whose mailboxes are the customer's."""

    customer: int
    context: str = ""
    account: str = ""
    endpoint: str = ""
    ddi: str = ""
    dial_context: str = ""
    voicemail_context: str = ""


@dataclass(frozen=True, slots=True)
class Connector:
    """`customer`: whose calls those are that no rule fits; None: they are nobody's and are not kept. `dial_context`: where
    numbers are dialled that an order names. `outside_prefix`: the digits dialled for an outside line. `sip_domain`: where phones
    register; `sip_passwords`: whether each user may read the password of the own phone. `recordings`,
    `voicemail`: the folders where the PBX puts them, as they are mounted here; `remove_recordings`: there, once they are
    stored here."""

    name: str
    kind: str
    user: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 5038
    customer: int | None = None
    dial_context: str = "from-internal"
    outside_prefix: str = ""
    sip_domain: str = ""
    sip_passwords: bool = False
    recordings: str = ""
    remove_recordings: bool = False
    voicemail: str = ""
    rules: tuple[Rule, ...] = ()
    mark: str = ""
    """What tells ids of its channels from those of another PBX of the same customer."""

    def customers(self) -> set[int]:
        ours = set() if self.customer is None else {self.customer}
        return ours | {rule.customer for rule in self.rules}

    def prefixes(self) -> list[str]:
        return [rule.endpoint for rule in self.rules if rule.endpoint]

    def endpoint_prefix(self, customer: int) -> str:
        """What stands before the extension in the names of the customer's endpoints."""
        return next((rule.endpoint for rule in self.rules if rule.customer == customer and rule.endpoint), "")

    def endpoint_of(self, customer: int, extension: str) -> str | None:
        """The name of the customer's endpoint; None where the name does not say that it is the customer's."""
        name = self.endpoint_prefix(customer) + extension
        return name if self.is_alone(customer) or self.owner(name) == (customer, extension) else None

    def is_alone(self, customer: int) -> bool:
        """Whether the PBX has no other customer."""
        return self.customers() == {customer}

    def owner(self, name: str) -> tuple[int, str] | None:
        """Whose endpoint or queue of that name it is, and its name without what stands before it. Those of customers whom only a
        context, an account or a number tells apart cannot be known by their names."""
        found = [rule for rule in self.rules if rule.endpoint and name.startswith(rule.endpoint)]
        if found:
            rule = max(found, key=lambda each: len(each.endpoint))
            return rule.customer, name.removeprefix(rule.endpoint)
        return None if self.customer is None else (self.customer, name)

    def mailbox_owner(self, context: str, mailbox: str) -> tuple[int, str] | None:
        """Whose mailbox it is, and its extension; None for nobody's. Where several have the context, as `owner` of those."""
        own = [rule for rule in self.rules if rule.voicemail_context == context]
        fitting = [rule for rule in own if mailbox.startswith(rule.endpoint)]
        if not own:
            return self.owner(mailbox)
        if not fitting:
            return None if len({rule.customer for rule in own}) > 1 else (own[0].customer, mailbox)
        rule = max(fitting, key=lambda each: len(each.endpoint))
        return rule.customer, mailbox.removeprefix(rule.endpoint)

    def context_of(self, customer: int) -> str | None:
        """Where numbers are dialled for the customer; None where that would be the context of another one's phones."""
        own = (rule.dial_context for rule in self.rules if rule.customer == customer and rule.dial_context)
        is_general = customer == self.customer or self.is_alone(customer)
        return next(own, self.dial_context if is_general else None)


_KNOWN = [each.name for each in fields(Connector) if each.name not in {"name", "mark"}]
_OF_RULE = [each.name for each in fields(Rule)]
_ASTERISK_ALONE = ("recordings", "remove_recordings", "voicemail", "sip_passwords")
_SHAPES = {
    "host": _HOST,
    "sip_domain": _DOMAIN,
    "dial_context": _WORD,
    "outside_prefix": _PREFIX,
    "recordings": _PATH,
    "voicemail": _PATH,
}


_TYPES: Mapping[str, tuple[type, str]] = {
    "port": (int, "a whole number"),
    "customer": (int, "a whole number"),
    "sip_passwords": (bool, "true or false"),
    "remove_recordings": (bool, "true or false"),
}


def connectors(tables: object, origin: str) -> tuple[Connector, ...]:
    """`tables`: what stands under `connectors`. UsageError names the first thing that is wrong; `origin` is the file."""
    if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
        raise UsageError(f"connectors in {origin} must be tables: [connectors.NAME].")
    made: list[Connector] = []
    for name, table in tables.items():
        found = _connector(name, table, origin)
        others = [each for each in made if each.kind == found.kind == MARKED and each.customers() & found.customers()]
        made.append(replace(found, mark=name) if others else found)
    return tuple(made)


def _connector(name: str, table: Mapping[str, Any], origin: str) -> Connector:
    where = f"[connectors.{name}] in {origin}"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: a name is up to 32 letters, digits, - and _.")
    given = dict(_resolved(table, where))
    _check_known(given, _KNOWN, where)
    rules = given.pop("rules", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise UsageError(f"{where}: rules must be tables: [[connectors.{name}.rules]].")
    given.setdefault("port", PORTS.get(str(given.get("kind")), 0))
    if given.get("kind") == "freeswitch":
        given.setdefault("user", "")
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
            hint = f" Did you mean {near[0]}?" if near else " Settings of the server itself stand above all sections."
            raise UsageError(f"{where}: unknown setting {name}.{hint}")


def _check(given: Mapping[str, Any], wanted: type[Connector] | type[Rule], where: str) -> None:
    """Whether all that is needed is there, and each value is a text or a whole number as it should be."""
    for each in fields(wanted):
        if each.name not in given:
            if each.default is MISSING and each.name != "name":
                raise UsageError(f"{where}: {each.name} is missing.")
            continue
        kind, what = _TYPES.get(each.name, (str, "a text"))
        if type(given[each.name]) is not kind:
            shown = "***" if each.name == "secret" else repr(given[each.name])
            raise UsageError(f"{where}: {each.name} must be {what}, not {shown}.")


def _faults(made: Connector) -> Iterator[str]:
    if made.kind not in PORTS:
        yield f"kind must be {' or '.join(PORTS)}, not {made.kind!r}"
    if not (_LOGIN if made.kind == "freeswitch" else _WORD).fullmatch(made.user):
        yield f"user cannot be {made.user!r}"
    for name in _ASTERISK_ALONE if made.kind == "freeswitch" else ():
        if getattr(made, name):
            yield f"{name} is not for a FreeSWITCH"
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
