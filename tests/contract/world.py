"""Two customers with records of every kind, and how to make one more of each.

`MAKERS` has, for the collection of each resource, a function that makes one record and returns what names it in a path.
A row of `ENDPOINTS` that names a record without a maker here fails its tests.
"""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ringback.identity import tokens
from ringback.rest.access import Policy
from ringback.rest.endpoint import Endpoint
from ringback.store import callbacks, cdrs, messages, rows, schema
from tests.api import Answer, Api, Client, user_row
from tests.policies import team
from tests.test_cdrs import call

AT = 1_700_000_000
AUDIO = b"\xff\xfb\x90\x64" + bytes(413)
UNKNOWN = 999_999_999
KNOWN, TRACKED = "442079460998", "442079460999"
"""The number of a contact, and the one of a campaign."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    api: Api

    @property
    def us(self) -> Client:
        return self.api.admin

    @property
    def them(self) -> Client:
        return self.api.stranger

    def make(self, path: str, client: Client) -> Any:
        """One more record of the collection at `path`, of the client's customer."""
        assert path in MAKERS, f"tests/contract/world.py has no maker of {path}"
        return MAKERS[path](self, client)

    def path(self, row: Endpoint, client: Client) -> str:
        """The row's path with a new record for each of its parameters."""
        filled = row.path
        for name in re.findall(r"\{(\w+)\}", row.path):
            kind, _, _ = filled.partition(f"{{{name}}}")
            collection = re.sub(r"/\d+(?=/|$)", "/{id}", kind.rstrip("/"))
            parent = re.findall(r"/(\d+)/", kind)
            made = self.make(collection, client) if not parent else MAKERS_WITHIN[collection](self, client, parent[-1])
            filled = filled.replace(f"{{{name}}}", str(made))
        return filled

    def send(self, row: Endpoint, client: Client, path: str, body: Any = ..., **params: Any) -> Answer:
        """The row's request with a good body, or the given one; with a token of the kind that it takes."""
        return self.fitting(row, client).call(
            row.method, path, self.body(row, client) if body is ... else body, params, self.headers(row)
        )

    def fitting(self, row: Endpoint, client: Client) -> Client:
        """The client, with a token that brings calls in where the row takes only those."""
        return self.program(client) if row.ingest else client

    def program(self, client: Client) -> Client:
        """A program of the client's that brings calls in."""
        answer = client.post("/apitokens", {"name": f"pbx{next(_numbers)}", "ingest": True})
        assert answer.status == 201, answer.body
        return replace(client, token=answer.data["token"])

    def headers(self, row: Endpoint) -> dict[str, str]:
        if row.takes:
            return {"content-type": row.takes}
        return {"content-type": "audio/mpeg"} if row.method == "PUT" or row.upload else {}

    def body(self, row: Endpoint, client: Client) -> Any:
        """A body that the row takes, None where it takes none."""
        if row.method == "PUT" or row.upload:
            return b"no audio"
        if row.takes:
            return b'{"key": "1", "calldate": 1700000000, "src": "101", "dst": "102"}'
        if row.body is None:
            return None
        if row.bulk:
            return [{"id": self.make(row.path, client)}]
        if row.method == "PATCH":
            return {}
        assert row.path in BODIES, f"tests/contract/world.py has no body for {row.method} {row.path}"
        return BODIES[row.path](self, client)

    def member(self, role: str, *policies: Policy) -> Client:
        """Another user of our customer, with a role and bound by policies."""
        name = f"{role}{next(_numbers)}"
        client = self._user(name, role)
        if policies:
            team(self.api, name, client, policies=tuple(policies))
        return client

    def _user(self, name: str, role: str) -> Client:
        now = self.api.services.clock()
        row = {**user_row(name, 1, 1, now), "is_root": 0, "ext": str(5000 + next(_numbers)), "roles": f'["{role}"]'}

        def work(db: Any) -> Client:
            (user_id,) = rows.insert(db, schema.users, self.api.acme, [row])
            kind, idle = tokens.SESSION, tokens.SESSION_IDLE_S
            token, _ = tokens.add(db, self.api.acme, user_id, kind=kind, expiry_s=idle, now=now)
            return Client(self.api.app, token, self.api.acme, user_id)

        made: Client = self.api.write(work)
        return made


def filled(api: Api) -> World:
    """A world with a record of each kind for either customer, and something in every list."""
    world = World(api)
    api.write(lambda db: db.run("UPDATE customers SET balance = 998500", {}))
    for client in (world.us, world.them):
        assert client.post("/ddis", {"e164": TRACKED}).status == 201
        assert client.post("/calltracking/campaigns", {"name": "Spring", "numbers": [TRACKED]}).status == 201
        for path in MAKERS:
            world.make(path, client)
    return world


def _posted(path: str) -> Callable[[World, Client], Any]:
    def make(world: World, client: Client) -> Any:
        answer = client.post(path, BODIES[path](world, client))
        assert answer.status == 201, (path, answer.body)
        return answer.data["id"]

    return make


def _inserted(table: str, **columns: Any) -> Callable[[World, Client], Any]:
    def make(world: World, client: Client) -> Any:
        row = {name: each(client) if callable(each) else each for name, each in columns.items()}
        return world.api.write(lambda db: rows.insert(db, schema.metadata.tables[table], client.customer_id, [row]))[0]

    return make


def _stored(add: Callable[..., Any], **columns: Any) -> Callable[[World, Client], Any]:
    def make(world: World, client: Client) -> Any:
        row = {name: each(client) if callable(each) else each for name, each in columns.items()}
        return world.api.write(lambda db: add(db, client.customer_id, [row]))[0]

    return make


def _user(world: World, client: Client) -> int:
    number = next(_numbers)
    name = f"user{number}"
    row = {**user_row(name, client.customer_id, 1, AT), "is_root": 0, "ext": str(2000 + number), "language": "en"}
    made: int = world.api.write(lambda db: rows.insert(db, schema.users, client.customer_id, [row]))[0]
    return made


def _cdr(world: World, client: Client) -> int:
    """A recorded call from the contact to the number of the campaign: every list of CDRs has it."""
    row = call(AT, user_id=client.user_id, src=KNOWN, dst=TRACKED, destination="callmeback")
    cdr_id: int = world.api.write(lambda db: cdrs.insert(db, client.customer_id, [row]))[0]
    _audio("monitors", cdr_id=cdr_id, timestamp=AT, duration=2, user_id=_own, type="O", cx_score=7)(world, client)
    return cdr_id


def _own(client: Client) -> int:
    return client.user_id


def _own_text(client: Client) -> str:
    return str(client.user_id)


def _unique(prefix: str) -> Callable[[Client], str]:
    return lambda _: f"{prefix}{next(_numbers)}"


def _audio(table: str, **columns: Any) -> Callable[[World, Client], Any]:
    """A record with its MP3 in the store."""

    def make(world: World, client: Client) -> Any:
        key = f"{client.customer_id}/{table}/{next(_numbers)}.mp3"
        world.api.services.blobs.put(key, AUDIO)
        return _inserted(table, blob_key=key, size=len(AUDIO), source_key=key, **columns)(world, client)

    return make


def _incoming(world: World, client: Client) -> Any:
    """Broken audio that came in through the API."""
    key = f"{client.customer_id}/incoming/{next(_numbers)}"
    world.api.services.blobs.put(key, AUDIO)
    row = json.dumps({"id": next(_numbers) + UNKNOWN, "source_key": key, "timestamp": AT})
    entry = {"shelf": "monitors", "source_key": key, "row": row, "name": "call.wav", "blob_key": key}
    told = {"state": "broken", "error": "no sound", "created_at": AT}
    return _inserted("audio_inbox", **entry, **told)(world, client)


def _named(world: World, client: Client) -> dict[str, Any]:
    return {"name": f"n{next(_numbers)}"}


def _user_body(world: World, client: Client) -> dict[str, Any]:
    number = next(_numbers)
    return {"email": f"new{number}@example.com", "first_name": "N", "last_name": "N", "ext": str(3000 + number)}


def _with(attribute: str, collection: str) -> Callable[[World, Client], Any]:
    """A named record with one member."""
    return lambda world, client: {**_named(world, client), attribute: [world.make(collection, client)]}


def _ddi_body(world: World, client: Client) -> dict[str, Any]:
    return {"e164": f"4420795{next(_numbers):05}"}


def _setting_body(world: World, client: Client) -> dict[str, Any]:
    ddi = client.post("/ddis", _ddi_body(world, client))
    assert ddi.status == 201, ddi.body
    return {"name": "Shop", "ddi_e164": ddi.data["e164"]}


def _export_body(world: World, client: Client) -> dict[str, Any]:
    """None may wait already: a user has a few at a time."""
    world.api.write(lambda db: db.run("DELETE FROM exports WHERE state = 'waiting'", {}))
    return {"resource": "cdrs", "format": "csv"}


def _apitoken(world: World, client: Client) -> str:
    token: str = client.post("/apitokens", _named(world, client)).data["token"]
    return token


def _session(world: World, client: Client) -> str:
    now = world.api.services.clock()
    kind, idle = tokens.SESSION, tokens.SESSION_IDLE_S
    made = world.api.write(
        lambda db: tokens.add(db, client.customer_id, client.user_id, kind=kind, expiry_s=idle, now=now)
    )
    handle: str = made[1]
    return handle


BODIES: Mapping[str, Callable[[World, Client], Any]] = {
    "/login": lambda world, client: {"email": "nobody@example.com", "password": "wrong"},
    "/login2fa": lambda world, client: {"code": "000000", "nonce": "x"},
    "/password/forgot": lambda world, client: {"email": "nobody@example.com"},
    "/password/reset": lambda world, client: {"token": "x", "password": "correct horse battery"},
    "/me/twofactor": lambda world, client: {"method": "app"},
    "/me/twofactor/confirm": lambda world, client: {"code": "000000"},
    "/apitokens": _named,
    "/users": _user_body,
    "/usergroups": _with("users", "/users"),
    "/usergrouppolicies": _with("usergroups", "/usergroups"),
    "/queues": _with("users", "/users"),
    "/queuegroups": _with("queues", "/queues"),
    "/ddis": _ddi_body,
    "/contacts": lambda world, client: {"first_name": "Zoë", "tel": KNOWN, "global": True},
    "/calls": lambda world, client: {"to": "442079460001"},
    "/rates": lambda world, client: {"prefix": f"4420{next(_numbers)}", "destination": "London", "price": 0.0125},
    "/rates/rerate": lambda world, client: {"from": "2023-11-01", "to": "2023-12-01"},
    "/webcalls": lambda world, client: {"from": "442079460001", "to": "101"},
    "/callmeback/settings": _setting_body,
    "/callmeback/buttons": lambda world, client: {},
    "/callmeback/preview": _setting_body,
    "/chats/presence": lambda world, client: {"is_online": True},
    "/chats/{id}/marks": lambda world, client: {},
    "/chatmsgs": lambda world, client: {"chat_id": world.make("/chats", client), "message": "Hello"},
    "/callmeback/donotcall": lambda world, client: {"number": f"4420793{next(_numbers):05}"},
    "/calltracking/campaigns": _named,
    "/cdrs/{id}/notes": lambda world, client: {"text": "Called back"},
    "/cdrs/{id}/share": lambda world, client: {"days": 3},
    "/exports": _export_body,
    "/erasures": lambda world, client: {"number": f"44163296{next(_numbers) % 10_000:04}"},
    "/holds": lambda world, client: {"resource": "sms", "ids": [world.make("/sms", client)], "reason": "case 7"},
}
"""What POST takes, by path."""

MAKERS: Mapping[str, Callable[[World, Client], Any]] = {
    "/customers": lambda world, client: client.customer_id,
    "/users": _user,
    "/usergroups": _posted("/usergroups"),
    "/usergrouppolicies": _posted("/usergrouppolicies"),
    "/queues": _posted("/queues"),
    "/queuegroups": _posted("/queuegroups"),
    "/ddis": _posted("/ddis"),
    "/contacts": _posted("/contacts"),
    "/apitokens": _apitoken,
    "/sessions": _session,
    "/exports": _inserted(
        "exports", created_at=AT, user_id=_own, resource="cdrs", format="csv", state="failed", progress=0
    ),
    "/shares": _inserted("shares", hash=_unique("hash"), created_at=AT, expires_at=AT, user_id=_own, cdr_id=1),
    "/audioinbox": _incoming,
    "/ingest/recordings": lambda world, client: f"{AT}.{next(_numbers)}",
    "/cdrs": _cdr,
    "/monitors": _audio("monitors", timestamp=AT, duration=2, user_id=_own, type="O", context="PSTN_CALL"),
    "/voicemessages": _audio("voicemessages", origtime=AT, duration=2, extension_id=_own, folder="INBOX", is_new=1),
    "/msdrs": _inserted("msdrs", call_id=_unique("msdr"), created_at=AT, duration=3, user_id=_own, type="O"),
    "/registrations": _inserted(
        "registrations",
        aor=_unique("sip:"),
        device="192.0.2.1",
        src_ip="192.0.2.1",
        transport="UDP",
        state="FAILED",
        last_at=AT,
        failures=1,
        call_id="c",
        attempts="[]",
        user_id=_own,
    ),
    "/mediasessions": _inserted(
        "mediasessions",
        call_id=_unique("session"),
        created_at=AT,
        updated_at=AT,
        status="CONNECTED",
        duration=3,
        user_id=_own,
        type="O",
    ),
    "/chats": _stored(messages.add_chats, created_at=AT, state="ACTIVE", operator_id=_own, accepted_at=AT),
    "/chatmsgs": _stored(messages.add_chatmsgs, created_at=AT, from_id=_own_text, to_id="0", message="Hello"),
    "/sms": _stored(messages.add_sms, **{"created_at": AT, "from": "442079460001", "message": "Hi", "type": "O"}),
    "/statements": _stored(messages.add_statements, created_at=AT, description="Call", amount=-150, balance=99_850),
    "/rates": _posted("/rates"),
    "/calls": _inserted(
        "calls", start_time=AT, state="RINGING", user_id=_own, src_rate=100, dst_rate=100, min_charge=100
    ),
    "/callmeback/settings": _posted("/callmeback/settings"),
    "/callmeback/buttons": _posted("/callmeback/buttons"),
    "/callmeback/donotcall": _posted("/callmeback/donotcall"),
    "/callmeback/visitors": _stored(callbacks.add_visitors, setting_id=1, created_at=AT),
    "/callmeback/requests": _stored(callbacks.add_requests, setting_id=1, created_at=AT, number="442079460001"),
    "/calltracking/campaigns": _posted("/calltracking/campaigns"),
    "/holds": _posted("/holds"),
    "/erasures": _inserted("erasures", created_at=AT, kind="number", fingerprint="f", state="done"),
}
"""Collection → how to make one of its records; the answer names it in a path."""


def _note(world: World, client: Client, cdr_id: str) -> Any:
    answer = client.post(f"/cdrs/{cdr_id}/notes", BODIES["/cdrs/{id}/notes"](world, client))
    assert answer.status == 201, answer.body
    return answer.data["id"]


MAKERS_WITHIN: Mapping[str, Callable[[World, Client, str], Any]] = {"/cdrs/{id}/notes": _note}
"""The same for records under a record, whose id comes third."""

REFERENCES: Mapping[str, str] = {
    "users": "/users",
    "usergroups": "/usergroups",
    "queues": "/queues",
    "campaign_id": "/calltracking/campaigns",
    "button_id": "/callmeback/buttons",
    "user_id": "/users",
    "rel_user_id": "/users",
    "from": "/users",
    "ids": "/sms",
    "chat_id": "/chats",
    "delivered_id": "/chatmsgs",
    "read_id": "/chatmsgs",
}
"""Attributes of bodies that name records, and the collection of those records."""
