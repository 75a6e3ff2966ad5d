"""Putting a user of the cast into a team, with or without policies."""

import json

from ringback.store import rows, schema
from ringback.store.database import Db
from tests.api import Api, Client


def team(api: Api, name: str, *members: Client, policies: tuple[str, ...] = ()) -> None:
    """A team of these users, bound by these policies."""
    customer = members[0].customer_id

    def work(db: Db) -> None:
        (group,) = rows.insert(db, schema.usergroups, customer, [{"name": name, "color": "#808080"}])
        users = [{"usergroup_id": group, "user_id": each.user_id} for each in members]
        rows.insert(db, schema.usergroup_users, customer, users)
        if policies:
            row = {"name": name, "color": "#808080", "policies": json.dumps(policies)}
            (policy,) = rows.insert(db, schema.usergrouppolicies, customer, [row])
            link = {"usergrouppolicy_id": policy, "usergroup_id": group}
            rows.insert(db, schema.usergrouppolicy_usergroups, customer, [link])

    api.write(work)
