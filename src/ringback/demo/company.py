"""Harbour Bicycles, the made-up company of the demo: its people and numbers are those of the lab (`data/README.md`)."""

from typing import Any

from ringback.demo.operator import Operator

COUNTRY = "GB"
PEOPLE = (
    ("101", "Alice", "Novak", "user"),
    ("102", "Bob", "Okafor", "user"),
    ("103", "Chloé", "Žižka", "reception"),
    ("104", "Dave", "Harper", "user"),
    ("105", "Erin", "Walsh", "user"),
)
"""Extension, names, role."""

CONTACTS: tuple[dict[str, Any], ...] = (
    {
        "company": "Spree Components",
        "first_name": "Jonas",
        "last_name": "Weber",
        "tel": "493023125456",
        "labels": ["supplier"],
    },
    {
        "company": "North Shore Insurance",
        "first_name": "Mary",
        "last_name": "Fields",
        "tel": "493023125789",
        "labels": [],
    },
    {
        "company": "Castle Cycles",
        "first_name": "Iain",
        "last_name": "Laird",
        "tel": "441314960222",
        "labels": ["dealer"],
    },
    {"company": None, "first_name": "Grace", "last_name": "Lindqvist", "tel": "12025550178", "labels": ["customer"]},
    {"company": None, "first_name": "Tom", "last_name": "Adeyemi", "tel": "447700900118", "labels": ["customer"]},
)

DDIS = (
    ("442079460100", "Menu"),
    ("442079460101", "101"),
    ("442079460102", "102"),
    ("442079460103", "103"),
    ("442079460104", "104"),
    ("442079460105", "105"),
    ("442079460110", "Queue"),
    ("442079460120", "101"),
)

ONLINE, OFFLINE = "Call me now", "Leave your number"


def found(operator: Operator) -> dict[str, int]:
    """Everything that the company set up; the user ids by extension."""
    users = operator.once("/users", "ext", *(_person(*each) for each in PEOPLE))
    _teams(operator, users)
    _numbers(operator, users)
    _contacts(operator, users)
    _website(operator)
    operator.once("/apitokens", "name", {"name": "Reports"})
    return users


def _person(ext: str, first_name: str, last_name: str, role: str) -> dict[str, Any]:
    names = {"first_name": first_name, "last_name": last_name, "email": f"ext{ext}@harbour-bicycles.example"}
    return {"ext": ext, **names, "roles": [role], "cli": f"442079460{ext}"}


def _teams(operator: Operator, users: dict[str, int]) -> None:
    teams = operator.once(
        "/usergroups",
        "name",
        {"name": "Sales", "color": "#2266aa", "users": [users["101"], users["102"]]},
        {"name": "Workshop", "color": "#aa6622", "users": [users["103"], users["104"]]},
    )
    policy = {
        "name": "No billing",
        "color": "#888888",
        "usergroups": [teams["Workshop"]],
        "policies": ["billing_disabled"],
    }
    operator.once("/usergrouppolicies", "name", policy)


def _numbers(operator: Operator, users: dict[str, int]) -> None:
    support = {"name": "Support", "number": "110", "users": [users["103"], users["104"]], "ring_time": 20}
    queues = operator.once("/queues", "name", support)
    operator.once("/queuegroups", "name", {"name": "Customer service", "queues": [queues["Support"]]})
    operator.once("/ddis", "e164", *(_ddi(e164, to, users, queues) for e164, to in DDIS))
    campaign = {"name": "Autumn catalogue", "numbers": ["442079460120"]}
    operator.once("/calltracking/campaigns", "name", campaign)


def _ddi(e164: str, to: str, users: dict[str, int], queues: dict[str, int]) -> dict[str, Any]:
    destination = str(users[to]) if to in users else f"Queue{queues['Support']}" if to == "Queue" else to
    return {"e164": e164, "number": f"+{e164[:2]} {e164[2:4]} {e164[4:8]} {e164[8:]}", "destination": destination}


def _contacts(operator: Operator, users: dict[str, int]) -> None:
    shared = [
        {**contact, "global": True, "type": "company" if contact["company"] else "person"} for contact in CONTACTS
    ]
    own = {"first_name": "Nadia", "last_name": "Novak", "tel": "447700900321", "user_id": users["101"], "global": False}
    operator.once("/contacts", "tel", *shared, own)


def _website(operator: Operator) -> None:
    button = {"name": "Green button", "data_online": ONLINE, "data_offline": OFFLINE}
    buttons = operator.once("/callmeback/buttons", "name", button)
    widget = {
        "name": "Web shop",
        "ddi_e164": "442079460110",
        "button_id": buttons["Green button"],
        "allowed_domains": ["shop.harbour-bicycles.example", "localhost"],
        "allowed_countries": ["GB", "DE", "US"],
        "chat_enabled": True,
        "title": "Shall we call you?",
        "privacy_policy_url": "https://shop.harbour-bicycles.example/privacy",
    }
    operator.once("/callmeback/settings", "name", widget)
    operator.once("/callmeback/donotcall", "number", {"number": "442079460990", "note": "Asked us never to call"})
