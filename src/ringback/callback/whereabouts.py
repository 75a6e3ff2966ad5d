"""Where an address is. Offline: the countries, as the registries of the internet gave addresses out, are in a library; cities, and countries
more exactly, in a database in MaxMind's format (MMDB) where the settings name one.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from ringback.calls.numbers import clean
from ringback.errors import UsageError

LONGEST = 255


class Place(NamedTuple):
    """`country`: alpha-2. `geo`: latitude and longitude, `51.4500,-2.5833`. None where it is unknown, as of private addresses and
    of what is no address."""

    country: str | None = None
    city: str | None = None
    geo: str | None = None


def place_at(ip: str, database: str) -> Place:
    """`database`: the path of an MMDB file of cities, or empty."""
    found = _record(ip, database) if database else {}
    country = found.get("country", {}).get("iso_code") or _registered(ip)
    city = clean(found.get("city", {}).get("names", {}).get("en", ""))[:LONGEST]
    return Place(country, city or None, _geo(found.get("location", {})))


def country_at(ip: str, database: str) -> str | None:
    return place_at(ip, database).country


def check(database: str) -> None:
    """UsageError where the settings name a file that is no such database."""
    import maxminddb

    if database:
        try:
            _reader(database)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            raise UsageError(f"geoip_database: {database} cannot be used: {error}.") from None


def _geo(location: dict[str, Any]) -> str | None:
    degrees = [location.get(name) for name in ("latitude", "longitude")]
    return ",".join(f"{each:.4f}" for each in degrees) if all(isinstance(each, float) for each in degrees) else None


def _registered(ip: str) -> str | None:
    import iptocc

    try:
        found: str | None = iptocc.country_code(ip)
    except (ValueError, TypeError):
        return None
    return found


def _record(ip: str, database: str) -> dict[str, Any]:
    try:
        found = _reader(database).get(ip)
    except ValueError:  # no address, or an IPv6 one where the database has none
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1)
def _reader(path: str) -> Any:
    """Stays open: the process reads one such file."""
    import maxminddb

    return maxminddb.open_database(path)
