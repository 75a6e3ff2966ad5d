"""The API called in process, as the administrator of the demo."""

import json
from typing import Any
from urllib.parse import urlencode

import msgspec

from ringback.identity import tokens
from ringback.rest import machine
from ringback.rest.endpoint import Endpoint
from ringback.rest.routing import Router
from ringback.services import Services
from ringback.store.database import Db

AN_HOUR_S = 3_600


class DemoFailed(Exception):
    """The API refused what the demo asked of it: a fault of the demo or of the API."""


class Operator:
    """Calls operations with a token of its own, which dies with `leave`."""

    def __init__(self, services: Services, endpoints: tuple[Endpoint, ...], customer_id: int, user_id: int) -> None:
        self.services, self.customer_id, self.user_id = services, customer_id, user_id
        self._router = Router(endpoints)
        self._token = services.database.write(self._come)

    def leave(self) -> None:
        token_hash = tokens.hash_of(self._token)
        self.services.database.write(lambda db: tokens.end(db, self.customer_id, token_hash))

    def _come(self, db: Db) -> str:
        ids = (self.customer_id, self.user_id)
        return tokens.add(db, *ids, kind=tokens.SESSION, expiry_s=AN_HOUR_S, now=self.services.clock())[0]

    def all(self, path: str, *conditions: tuple[str, str, Any]) -> list[dict[str, Any]]:
        """The records of a collection; each condition is (property, operator, value)."""
        asked = [{"property": name, "operator": how, "value": value} for name, how, value in conditions]
        found: list[dict[str, Any]] = self.call("GET", path, {"filter": json.dumps(asked)} if asked else {})["data"]
        return found

    def once(self, path: str, key: str, *wanted: dict[str, Any]) -> dict[Any, int]:
        """Creates what is not there yet; the ids by the value of `key`, which tells one record from another."""
        there = {record[key]: record["id"] for record in self.all(path)}
        for body in wanted:
            if body[key] not in there:
                there[body[key]] = self.call("POST", path, body=msgspec.json.encode(body))["data"]["id"]
        return there

    def change(self, path: str, body: Any) -> None:
        self.call("PATCH", path, body=msgspec.json.encode(body))

    def call(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        body: bytes = b"",
        media_type: str = "application/json",
    ) -> Any:
        """The decoded answer. DemoFailed when it is an error."""
        endpoint, parameters = self._router.find(method, path)
        headers = {"x-auth-token": self._token, "content-type": media_type}
        request = machine.Request(method, path, list((params or {}).items()), headers, body, "127.0.0.1")
        reply = machine.answer(self.services, endpoint, parameters, request)
        answer = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        if reply.status >= 400:
            raise DemoFailed(f"{method} {path}?{urlencode(params or {})}: {reply.status} {answer.decode()}")
        return msgspec.json.decode(answer) if answer else None
