"""Who is calling, and what roles and policies mean."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of a user, strongest first."""

    ADMINISTRATOR = "administrator"
    RECEPTION = "reception"
    USER = "user"


EVERYBODY = frozenset(Role)
RECEPTION = frozenset({Role.ADMINISTRATOR, Role.RECEPTION})
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})


class Policy(StrEnum):
    """What a team policy takes from the members of its teams."""

    SETTINGS_LOCKED = "settings_locked"
    PRESENCE_DISABLED = "presence_disabled"
    PRESENCE_NUMBERS_HIDDEN = "presence_numbers_hidden"
    CHAT_TEAM_ONLY = "chat_team_only"
    CHAT_DISABLED = "chat_disabled"
    RECORDINGS_DISABLED = "recordings_disabled"
    BILLING_DISABLED = "billing_disabled"
    EXPORT_DISABLED = "export_disabled"
    CONTACTS_HIDDEN = "contacts_hidden"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a request's token."""

    customer_id: int
    user_id: int
    name: str
    role: Role
    is_root: bool
    policies: frozenset[Policy]
    token_hash: str
    brings_calls: bool = False
    """The token is a program's for `/ingest`: it opens that and nothing else."""

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMINISTRATOR


def strongest(roles: Iterable[str]) -> Role:
    """The strongest of a user's roles; a user without a known role is a plain user."""
    held = set(roles)
    return next((role for role in Role if role in held), Role.USER)


def policies_of(lists: Iterable[str]) -> frozenset[Policy]:
    """The policies in JSON lists as stored; names that this version does not know are passed over."""
    known = set(Policy)
    return frozenset(Policy(name) for text in lists if text for name in json.loads(text) if name in known)
