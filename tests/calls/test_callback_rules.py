"""May we call back: hours, origins, proof of work, lines, prices and limits, without a database."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.callback import proof
from ringback.callback.hours import Hours
from ringback.callback.origins import host_of, is_allowed, is_own
from ringback.callback.rules import Allowed, Facts, Refusal, Terms, affordable, network, shortened, verdict
from ringback.calls.numbers import Line, dialled_from, is_emergency, line_of, one_spelling
from ringback.calls.rating import Rate, charge

WEEK = {"mon": [["09:00", "12:30"], ["13:30", "17:00"]], "sat": [["22:00", "24:00"]], "sun": [["00:00", "04:00"]]}


def at(text: str, zone: str = "Europe/Warsaw", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


# -- hours


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00:00", True),
        ("2026-11-23 12:29:59", True),
        ("2026-11-23 12:30:00", False),
        ("2026-11-23 16:59:59", True),
        ("2026-11-23 17:00:00", False),
        ("2026-11-24 10:00:00", False),
        ("2026-11-28 23:59:59", True),
        ("2026-11-29 00:00:00", True),
        ("2026-12-28 10:00:00", False),
    ],
)
def test_hours_of_the_week(when: str, is_open: bool) -> None:
    assert Hours(WEEK, {"2026-12-28"}, "Europe/Warsaw").is_open(at(when)) is is_open


@pytest.mark.parametrize(
    ("when", "opens"),
    [
        ("2026-11-23 08:00:00", "2026-11-23 09:00:00"),
        ("2026-11-23 10:00:00", "2026-11-23 10:00:00"),
        ("2026-11-23 12:45:00", "2026-11-23 13:30:00"),
        ("2026-11-23 18:00:00", "2026-11-28 22:00:00"),
        ("2026-12-27 05:00:00", "2027-01-02 22:00:00"),
    ],
)
def test_when_it_opens(when: str, opens: str) -> None:
    assert Hours(WEEK, {"2026-12-28"}, "Europe/Warsaw").opens_at(at(when)) == at(opens)


def test_the_night_in_which_clocks_go_forward() -> None:
    """On 29 March 2026 the hour from 2 to 3 is not there."""
    night = Hours({"sun": [["02:30", "04:00"]]}, (), "Europe/Warsaw")
    assert night.opens_at(at("2026-03-29 00:00:00")) == at("2026-03-29 03:00:00")
    gone = Hours({"sun": [["02:10", "02:50"]]}, (), "Europe/Warsaw")
    assert gone.opens_at(at("2026-03-29 00:00:00")) == at("2026-04-05 02:10:00")


def test_the_night_in_which_clocks_go_back() -> None:
    """On 25 October 2026 the hour from 2 to 3 comes twice: it is open both times."""
    night = Hours({"sun": [["02:00", "03:00"]]}, (), "Europe/Warsaw")
    assert night.opens_at(at("2026-10-25 00:00:00")) == at("2026-10-25 02:00:00")
    assert night.is_open(at("2026-10-25 02:30:00", fold=1))
    assert not night.is_open(at("2026-10-25 03:00:00"))


def test_always_and_never() -> None:
    now = at("2026-11-23 10:00:00")
    assert Hours(None, (), "UTC").opens_at(now) == now
    assert Hours(None, {"2026-11-23"}, "UTC").opens_at(now) == at("2026-11-24 00:00:00", "UTC")
    assert Hours({}, (), "UTC").opens_at(now) is None


def test_the_spans_that_it_is_open() -> None:
    now, closed = at("2026-12-27 12:00:00"), {"2026-12-29"}
    week = {"mon": [["09:00", "12:00"], ["13:00", "24:00"]], "tue": [["09:00", "17:00"]]}
    days = ("2026-12-28 09:00:00", "2026-12-28 12:00:00"), ("2026-12-28 13:00:00", "2026-12-29 00:00:00")
    assert Hours(week, closed, "Europe/Warsaw").spans(now, 8) == [(at(begin), at(end)) for begin, end in days]
    assert Hours(None, (), "UTC").spans(now, 8) is None
    assert Hours(None, closed, "UTC").spans(now, 1) == [tuple(at(f"2026-12-{day} 00:00:00", "UTC") for day in (27, 28))]
    assert Hours({}, (), "UTC").spans(now, 8) == []


@given(
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)
def test_it_is_open_when_it_opens_and_not_before(now: int, zone: str) -> None:
    hours = Hours(WEEK, (), zone)
    opens = hours.opens_at(now)
    assert opens is not None
    assert hours.is_open(opens)
    assert opens == now or not hours.is_open(max(opens - 61, now))


# -- origins


@pytest.mark.parametrize(
    ("origin", "domains", "allowed"),
    [
        ("https://shop.example", ["shop.example"], True),
        ("https://SHOP.example", ["shop.example"], True),
        ("http://shop.example:8080", ["shop.example"], True),
        ("http://shop.example:8080", ["shop.example:8080"], True),
        ("http://shop.example:8081", ["shop.example:8080"], False),
        ("https://www.shop.example", ["shop.example"], False),
        ("https://www.shop.example", ["*.shop.example"], True),
        ("https://shop.example", ["*.shop.example"], False),
        ("https://evilshop.example", ["*.shop.example"], False),
        ("https://shop.example.evil.example", ["shop.example"], False),
        ("https://shop.example@evil.example", ["shop.example"], False),
        ("https://shop.example/", ["shop.example"], False),
        ("null", ["shop.example"], False),
        ("", ["shop.example"], False),
        ("https://shop.example", [], False),
    ],
)
def test_where_a_widget_may_be(origin: str, domains: list[str], allowed: bool) -> None:
    assert is_allowed(origin, domains) is allowed


def test_the_servers_own_pages() -> None:
    assert is_own("https://pbx.example", "https://pbx.example/base", "other")
    assert not is_own("https://evil.example", "https://pbx.example", "evil.example")
    assert is_own("http://127.0.0.1:8080", "", "127.0.0.1:8080")
    assert not is_own("null", "", "")


@given(st.text(max_size=50))
def test_an_origin_is_a_host_or_none(text: str) -> None:
    host = host_of(text)
    assert host is None or ("/" not in host and "@" not in host)


# -- proof of work


def test_a_challenge_is_solved_and_checked() -> None:
    made = proof.challenge(b"secret", "KEY", 1_000_000_000, 0, "0" * 16)
    nonce = next(str(each) for each in range(1 << 22) if proof.is_solved(made.salt, str(each), made.bits))
    assert proof.fault(b"secret", "KEY", made.salt, nonce, 1_000_000_001) is None
    assert proof.fault(b"secret", "OTHER", made.salt, nonce, 1_000_000_001) == "signature"
    assert proof.fault(b"other", "KEY", made.salt, nonce, 1_000_000_001) == "signature"
    assert proof.fault(b"secret", "KEY", made.salt, nonce, made.until) == "late"
    assert proof.fault(b"secret", "KEY", made.salt, nonce + "1", 1_000_000_001) == "work"
    assert proof.fault(b"secret", "KEY", made.salt.replace(".15.", ".01."), nonce, 1_000_000_001) == "signature"
    assert proof.fault(b"secret", "KEY", "x", nonce, 1_000_000_001) == "shape"


def test_who_asks_often_computes_longer() -> None:
    assert [proof.challenge(b"s", "K", 1, before, "0").bits for before in (0, 1, 2, 3, 99)] == [15, 17, 19, 21, 21]


# -- numbers


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("442079460001", Line("GB", "fixed")),
        ("447400123456", Line("GB", "mobile")),
        ("12025550123", Line("US", "fixed_or_mobile")),
        ("18765551234", Line("JM", "mobile")),
        ("449098790000", Line("GB", "premium")),
        ("447012345678", Line("GB", "personal")),
        ("33892700000", Line("FR", "premium")),
        ("4915112345678", Line("DE", "mobile")),
        ("870773111111", Line(None, "mobile")),
        ("80012345678", Line(None, "toll_free")),
        ("8816123456", None),
        ("112", None),
        ("999", None),
        ("44116123", None),
        ("", None),
    ],
)
def test_the_line_of_a_number(number: str, line: Line | None) -> None:
    assert line_of(number) == line


@pytest.mark.parametrize(
    ("spelt", "number"),
    [
        ("4407400123456", "447400123456"),
        ("44007400123456", "447400123456"),
        ("490015123456789", "4915123456789"),
        ("1112015550123", "12015550123"),
        ("447400123456", "447400123456"),
        ("330612345678", "33612345678"),
        ("54111523456789", "5491123456789"),
        ("550151123456789", "551123456789"),
        ("112125551234", "12125551234"),
        ("390669812345", "390669812345"),
        ("112", "112"),
        ("", ""),
    ],
)
def test_a_phone_has_one_number_however_it_is_spelt(spelt: str, number: str) -> None:
    assert one_spelling(spelt) == number


def test_numbers_are_dialled_as_people_dial() -> None:
    assert dialled_from("447400123456", "GB") == "07400123456"
    assert dialled_from("447400123456", "PL") == "00447400123456"
    assert dialled_from("447400123456", "US") == "011447400123456"
    assert dialled_from("447400123456", None) == "447400123456"


def test_emergency_services_are_known() -> None:
    assert is_emergency("112", "PL")
    assert is_emergency("9112025550", "US")
    assert not is_emergency("02079460001", "GB")
    assert is_emergency("112", "XX")
    assert is_emergency("911140001111", "")  # bare, as somebody without a country would have it dialled
    assert not is_emergency("442079460001", "")


# -- the rules

TERMS = Terms(["GB"], 1_500, None, None)
CHEAP = Rate("44", "UK", 20_000)
FINE = Facts(False, False, False, CHEAP, {}, 0, None)
GB = Line("GB", "fixed")


@pytest.mark.parametrize(
    ("line", "terms", "facts", "code", "reason"),
    [
        (Line("GB", "premium"), TERMS, FINE, "number", "line: premium"),
        (Line("GB", "shared_cost"), TERMS, FINE, "number", "line: shared_cost"),
        (Line("GB", "unknown"), TERMS, FINE, "number", "line: unknown"),
        (Line(None, "voip"), TERMS, FINE, "number", "line: of no country"),
        (GB, TERMS, FINE._replace(is_emergency=True), "number", "emergency"),
        (Line("FR", "fixed"), TERMS, FINE, "country", "country: FR"),
        (GB, TERMS._replace(countries=[]), FINE, "country", "country: GB"),
        (GB, TERMS, FINE._replace(is_never_called=True), "refused", "donotcall"),
        (GB, TERMS, FINE._replace(is_own=True), "refused", "own_number"),
        (GB, TERMS, FINE._replace(rang_s=119), "later", "number_window"),
        (GB, TERMS, FINE._replace(counts={"number_hour": 3}), "later", "number_hour"),
        (GB, TERMS, FINE._replace(counts={"address_day": 15}), "later", "address_day"),
        (GB, TERMS, FINE._replace(counts={"setting_hour": 120}), "refused", "setting_hour"),
        (GB, TERMS, FINE._replace(counts={"customer_hour": 300}), "refused", "customer_hour"),
        (GB, TERMS, FINE._replace(rate=None), "refused", "no_rate"),
        (GB, TERMS._replace(max_call_rate=199), FINE, "refused", "price: 0.0200 a minute, 0.0199 allowed"),
        (GB, TERMS._replace(daily_spend=1_000), FINE._replace(spent=801), "refused", "spend"),
    ],
)
def test_refusals(line: Line, terms: Terms, facts: Facts, code: str, reason: str) -> None:
    assert verdict(line, terms, facts) == Refusal(code, reason)  # type: ignore[arg-type] # words of a table


def test_what_is_allowed_and_for_how_long() -> None:
    assert verdict(GB, TERMS, FINE._replace(rang_s=120)) == Allowed(20_000, 3_600)
    assert verdict(GB, TERMS._replace(most_s=300), FINE) == Allowed(20_000, 300)
    assert verdict(GB, TERMS._replace(daily_spend=1_000), FINE._replace(spent=800)) == Allowed(20_000, 60)
    assert verdict(GB, TERMS._replace(most_s=30, daily_spend=100), FINE) == Allowed(20_000, 30)
    assert verdict(GB, TERMS._replace(daily_spend=0), FINE._replace(rate=Rate("44", "free", 0))) == Allowed(0, 3_600)


@given(st.integers(0, 10_000_000), st.integers(1, 5_000_000), st.integers(0, 120), st.integers(1, 60))
def test_what_is_affordable_costs_no_more(left: int, price: int, minimum: int, increment: int) -> None:
    rate = Rate("44", "UK", price, minimum, increment)
    seconds = affordable(left, rate)
    assert seconds == 0 or charge(rate, seconds) <= left + 1


@pytest.mark.parametrize(
    ("ip", "counted", "short"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("nobody", "nobody", None),
    ],
)
def test_addresses_are_counted_and_shortened(ip: str, counted: str, short: str | None) -> None:
    assert (network(ip), shortened(ip)) == (counted, short)
