"""Where visitors are: countries by what the registries gave out, cities by a database that the settings name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from ringback.app import build
from ringback.callback.whereabouts import Place, place_at
from ringback.errors import UsageError
from tests.api import Api
from tests.callbacks import Page, easy, staffed, widget
from tests.test_chat import Place as Room
from tests.test_chat import Talk

BRISTOL, SOMEWHERE = "203.0.113.9", "2001:db8::1"


@pytest.fixture
def cities(tmp_path: Path) -> str:
    writer = MMDBWriter(6, "GeoLite2-City", languages=["en"], ipv4_compatible=True)
    city: dict[str, Any] = {
        "country": {"iso_code": "GB"},
        "city": {"names": {"en": "Bris\ntol" + "x" * 400, "de": "?"}},
    }
    city["location"] = {"latitude": 51.45, "longitude": -2.58333}
    writer.insert_network(IPSet(["203.0.113.0/24"]), city)
    writer.insert_network(IPSet(["2001:db8::/32"]), {"country": {"iso_code": "PL"}})
    path = tmp_path / "cities.mmdb"
    writer.to_db_file(str(path))
    return str(path)


def test_without_a_database_the_country_is_known_alone() -> None:
    assert place_at("81.2.69.142", "") == Place("GB", None)
    assert place_at("127.0.0.1", "") == place_at("nonsense", "") == place_at("", "") == Place()


def test_a_database_knows_the_city_too(cities: str) -> None:
    place = place_at(BRISTOL, cities)
    assert (place.country, (place.city or "")[:9], len(place.city or "")) == ("GB", "Bris tolx", 255)
    assert place.geo == "51.4500,-2.5833"
    assert place_at(SOMEWHERE, cities) == Place("PL", None)
    assert place_at("81.2.69.142", cities) == Place("GB", None)  # it does not know this one
    assert place_at("nonsense", cities) == Place()


def test_a_visitors_city_is_in_the_api(api: Api, cities: str) -> None:
    services = replace(api.services, settings=replace(api.services.settings, geoip_database=cities))
    staffed(api)
    page = Page(api, widget(api)["public_key"], ip=BRISTOL)
    page.client = replace(page.client, app=build(services))
    page.opened()
    (visitor,) = api.admin.listed("/callmeback/visitors")
    assert (visitor["country"], visitor["city"][:4]) == ("GB", "Bris")


def test_a_chat_knows_where_its_visitor_is(api: Api, cities: str, monkeypatch: pytest.MonkeyPatch) -> None:
    easy(monkeypatch)
    services = replace(api.services, settings=replace(api.services.settings, geoip_database=cities))
    one = Talk(Room(Api(build(services))), ip=BRISTOL).open()
    one.say(email="ada@example.com")
    (chat,) = api.admin.listed("/chats")
    assert (chat["visitor_country"], chat["visitor_city"][:4], chat["visitor_geo"]) == ("GB", "Bris", "51.4500,-2.5833")


def test_a_file_that_is_no_database_is_told_at_the_start(api: Api, tmp_path: Path) -> None:
    wrong = tmp_path / "cities.mmdb"
    wrong.write_text("no such thing")
    for path in (wrong, tmp_path / "nowhere.mmdb"):
        settings = replace(api.services.settings, geoip_database=str(path))
        with pytest.raises(UsageError, match=r"geoip_database: .* cannot be used"):
            build(replace(api.services, settings=settings))
