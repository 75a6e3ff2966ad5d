"""`ringback customer`, `user`, `token`: accounts without a login, for whoever runs the server."""

import json
import re
from typing import Annotated

import typer

from ringback.cli import console, passwords, places
from ringback.cli.billing import credit
from ringback.cli.console import Config
from ringback.cli.owners import COMMAND_LINE, owner
from ringback.errors import UsageError
from ringback.identity import second_factor, tokens
from ringback.identity.accounts import set_password
from ringback.identity.passwords import hash_password
from ringback.jobs import delete_customer as deletion
from ringback.record import is_extension, time_text
from ringback.rest.access import Role
from ringback.services import Services
from ringback.store import accounts, audit
from ringback.store.database import Db, Row, Taken, first, folded

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

customers = console.group("Customers: each has its own users, calls and recordings, and sees nothing of the others.")
users = console.group("Users: who can log in.")
api_tokens = console.group("API tokens: how programs log in.")

Customer = Annotated[
    int | None, typer.Option("--customer", metavar="ID", help="Which customer; needed when there are several.")
]
Who = Annotated[str, typer.Argument(metavar="USER", help="E-mail address, or the user's id.")]


def register(app: typer.Typer) -> None:
    customers.command("credit")(credit)
    app.add_typer(customers, name="customer")
    app.add_typer(users, name="user")
    app.add_typer(api_tokens, name="token")


@customers.command("create")
def create_customer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The company's name.")],
    cc: Annotated[str, typer.Option("--country", metavar="CC", help="Two letters (ISO 3166): where its numbers are.")],
    currency: Annotated[str, typer.Option("--currency", metavar="ISO", help="Three letters (ISO 4217).")] = "EUR",
    time_zone: Annotated[str, typer.Option("--time-zone", metavar="NAME", help="As in Europe/Warsaw.")] = "UTC",
    config: Config = None,
) -> None:
    """Make a customer, and print its id.

    Example: `ringback customer create "Acme Ltd" --country GB --currency GBP --time-zone Europe/London`
    """
    _check_currency(currency)
    fixed = {
        "cc": places.country(cc),
        "currency_iso": currency.upper(),
        "time_zone": places.time_zone(time_zone),
    }
    with console.opened(config) as services:
        now = services.clock()
        created = services.database.write(lambda db: accounts.create_customer(db, name=name, now=now, **fixed))
    console.out.print(created)


@customers.command("list")
def list_customers(config: Config = None) -> None:
    """List the customers, with how many users and calls each has."""
    sql = """
        SELECT c.id, c.name, c.cc, c.currency_iso, c.created_at, c.deleted_at,
            (SELECT count(*) FROM users u WHERE u.customer_id = c.id),
            (SELECT coalesce(sum(n), 0) FROM counters k
             WHERE k.customer_id = c.id AND k.resource = 'cdrs' AND k.attribute = '')
        FROM customers c ORDER BY c.id
    """
    with console.opened(config) as services:
        rows = services.database.read(lambda db: db.all(sql))
    shown = console.table("id", "name", "country", "currency", "since", "users", "calls", "")
    for row_id, name, cc, currency, created_at, deleted_at, people, calls in rows:
        state = "being deleted" if deleted_at else ""
        cells = (row_id, name, cc, currency, time_text(created_at), people, calls, state)
        shown.add_row(*(console.plain(str(cell)) for cell in cells))
    console.show(shown)


@customers.command("delete")
def delete_customer(
    customer_id: Annotated[int, typer.Argument(metavar="ID", help="Which customer; `ringback customer list`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Delete a customer with everything that belongs to it: users, calls, recordings. This cannot be undone.

    Its users are locked out at once; a running server removes the data in the background.
    """
    with console.opened(config) as services:
        name = _customer_name(services, customer_id)
        if not yes:
            typer.confirm(
                f"Delete customer {customer_id}, {name}, with all calls and recordings?", abort=True, err=True
            )
        now = services.clock()
        services.database.write(lambda db: deletion.begin(db, customer_id, now))
    console.out.print(f"{name} is locked out; a running server removes its data.", markup=False)


@users.command("create")
def create_user(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Also the login.")],
    customer_id: Customer = None,
    first_name: Annotated[str | None, typer.Option("--first-name", metavar="NAME")] = None,
    last_name: Annotated[str | None, typer.Option("--last-name", metavar="NAME")] = None,
    ext: Annotated[str | None, typer.Option("--ext", metavar="NUMBER", help="Extension, such as 101.")] = None,
    role: Annotated[Role, typer.Option("--role", help="What the user may do.")] = Role.USER,
    config: Config = None,
) -> None:
    """Make a user with a random password, and print it once. A customer's first administrator is its root.

    Example: `ringback user create ann@example.com --customer 1 --first-name Ann --last-name Smith --ext 101 --role administrator`
    """
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise UsageError(f"{email!r} is no e-mail address.")
    if ext is not None and not is_extension(ext):
        raise UsageError(f"{ext!r} is no extension: 1 to 20 digits, * and #.")
    password = passwords.made()
    password_hash = hash_password(password)
    with console.opened(config) as services:
        whose, _ = owner(services, customer_id)

        def work(db: Db) -> None:
            made = accounts.create_user(
                db,
                whose,
                email=email,
                first_name=first_name,
                last_name=last_name,
                ext=ext,
                roles=json.dumps([role.value]),
                password_hash=password_hash,
                is_root=role is Role.ADMINISTRATOR and not _rooted(db, whose),
                now=services.clock(),
            )
            _note(services, db, whose, "create", "User", made)

        try:
            services.database.write(work)
        except Taken as error:
            what = f"Extension {ext}" if "ext" in error.columns else email
            raise UsageError(f"{what} is already used by another user.") from None
    console.out.print(f"email     {email}\npassword  {password}", markup=False)


@users.command("passwd")
def change_password(who: Who, config: Config = None) -> None:
    """Set a user's password. Asks for it, or reads a line that is piped in. The user's sessions end; API tokens stay.

    Example: `pwgen -s 20 1 | ringback user passwd ann@example.com`
    """
    with console.opened(config) as services:
        customer_id, user_id, email, *names = _user(services, who)
        password_hash = hash_password(passwords.asked(email, *names))

        def work(db: Db) -> None:
            set_password(db, customer_id, user_id, password_hash)
            _note(services, db, customer_id, "password", "User", user_id)

        services.database.write(work)
    console.out.print(f"The password of {email} is set.", markup=False)


@users.command("two-factor-off")
def turn_two_factor_off(who: Who, config: Config = None) -> None:
    """Turn a user's second factor off, for somebody who has lost the phone and the recovery codes.

    Example: `ringback user two-factor-off ann@example.com`
    """
    with console.opened(config) as services:
        customer_id, user_id, email, *_ = _user(services, who)

        def work(db: Db) -> None:
            second_factor.turn_off(db, customer_id, user_id)
            _note(services, db, customer_id, "two_factor_off", "User", user_id)

        services.database.write(work)
    console.out.print(f"{email} logs in with the password alone.", markup=False)


@api_tokens.command("create")
def create_token(
    *,
    who: Annotated[
        str | None, typer.Option("--user", metavar="USER", help="E-mail address, or the user's id; not with --ingest.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is for; one of a name per user.")],
    expiry: Annotated[
        str, typer.Option("--expiry", metavar="TIME", help="Ends after so long without use: 12h, 90d; 0: never.")
    ] = "0",
    ingest: Annotated[
        bool, typer.Option("--ingest", help="It brings calls, recordings and voicemail in, and opens nothing else.")
    ] = False,
    customer_id: Customer = None,
    config: Config = None,
) -> None:
    """Make an API token that acts as a user, or with --ingest one for a program that brings calls in. It is printed once.

    Examples: `ringback token create --user ann@example.com --name crm --expiry 90d`,
    `ringback token create --ingest --name pbx`
    """
    seconds = _seconds(expiry)
    if ingest == (who is not None):
        raise UsageError("Say whose token it is with --user, or --ingest for a program that brings calls in.")
    with console.opened(config) as services:
        customer_id, user_id, *_ = _user(services, who) if who is not None else _root(services, customer_id)

        def work(db: Db) -> str:
            fixed = {"kind": tokens.INGEST if ingest else tokens.API, "name": name}
            token, _ = tokens.add(db, customer_id, user_id, expiry_s=seconds, now=services.clock(), **fixed)
            _note(services, db, customer_id, "create", "ApiToken", None)
            return token

        try:
            token = services.database.write(work)
        except Taken:
            raise UsageError(f"There is a token named {name!r} already.") from None
    console.out.print(token)


def _check_currency(text: str) -> None:
    if len(text) != 3 or not (text.isascii() and text.isalpha()):
        raise UsageError(f"--currency must be 3 letters, not {text!r}.")


def _seconds(text: str) -> int | None:
    """`90d` in seconds; None for 0: never."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if match is None:
        raise UsageError(f"--expiry must be a number with s, m, h or d, such as 12h, not {text!r}.")
    return int(match[1]) * _UNITS_S[match[2] or "s"] or None


def _customer_name(services: Services, customer_id: int) -> str:
    sql = "SELECT name FROM customers WHERE id = :id AND deleted_at IS NULL"
    row = services.database.read(lambda db: first(db, sql, {"id": customer_id}))
    if row is None:
        raise UsageError(f"There is no customer {customer_id}. `ringback customer list` shows all.")
    return str(row[0])


def _rooted(db: Db, customer_id: int) -> bool:
    sql = "SELECT 1 FROM users WHERE customer_id = :customer AND is_root = 1"
    return first(db, sql, {"customer": customer_id}) is not None


def _user(services: Services, who: str) -> Row:
    """(customer_id, id, email, first_name, last_name) by e-mail or id."""
    column, key = ("id", int(who)) if who.isdecimal() else ("email_folded", folded(who))
    sql = f"SELECT customer_id, id, email, first_name, last_name FROM users WHERE {column} = :key"
    row = services.database.read(lambda db: first(db, sql, {"key": key}))
    if row is None:
        raise UsageError(f"There is no user {who}.")
    return row


def _root(services: Services, customer_id: int | None) -> tuple[int, int]:
    """The customer and its root user, under whom programs' tokens stand."""
    whose, _ = owner(services, customer_id)
    sql = "SELECT id FROM users WHERE customer_id = :customer AND is_root = 1"
    row = services.database.read(lambda db: first(db, sql, {"customer": whose}))
    if row is None:
        raise UsageError("This customer has no administrator yet: make one with `ringback user create`.")
    return whose, row[0]


def _note(services: Services, db: Db, customer_id: int, action: str, what: str, object_id: int | None) -> None:
    named = {"user_name": COMMAND_LINE, "object_class": what, "object_id": object_id}
    audit.note(db, customer_id, at=services.clock(), action=action, **named)
