"""The whole way: a click in Chromium on a page of another origin, a real Asterisk, two phones that talk, and what the API has then.
Run by `tools/checks/browser` within the lab: 101 is the agent, `outside` the visitor."""

import itertools
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pbx_callbacks
import pytest
from desk import Site, document, texts
from pbx_callbacks import DDI, talk
from pbx_place import Place, record  # type: ignore[attr-defined]
from test_pbx_media import ONE_HZ, SPOOL, TWO_HZ, loudness, monitor_after, tones
from visitor import Visit

SETTINGS = """trusted_proxies = "127.0.0.1"
hep_listen = "192.0.2.5:9060"
hep_sources = "customer=1 key=lab-key"
"""
CONNECTOR = f'recordings = "{SPOOL}/monitor"\n'
HEP = """[general]
enabled = yes
capture_address = 192.0.2.5:9060
capture_password = lab-key
capture_id = 2001
uuid_type = call-id
"""
DIALPLAN = """
[internal](+)
exten = _074001235XX,1,MixMonitor(${UNIQUEID}.wav,r(${UNIQUEID}-in.wav)t(${UNIQUEID}-out.wav)n)
 same = n,Dial(PJSIP/${EXTEN}@provider,5)
"""
EN = texts("en")
FIRST_INVITE_S = 1.0
_visitors = itertools.count(10)
Shop = Callable[..., Visit]


@pytest.fixture(scope="module", autouse=True)
def recorded(place: Place) -> None:
    """Calls to visitors are recorded, and Asterisk reports its signalling."""
    assert place.acme.customer_id == 1, "as in SETTINGS"
    etc = record.ROOT / "etc/asterisk"
    with (etc / "extensions.conf").open("a") as file:
        file.write(DIALPLAN)
    (etc / "hep.conf").write_text(HEP)
    for command in ("dialplan reload", "module reload res_hep.so", "module load res_hep_pjsip.so"):
        record.cli(command)


@pytest.fixture(autouse=True)
def ready(place: Place) -> None:
    pbx_callbacks.ready(place)


@pytest.fixture
def shop(place: Place, visit: Any, site: Site) -> Shop:
    """Makes a visitor, at an address of its own, on the page of a shop whose widget rings the agent first. Its requests come through
    here: wait with `found`."""

    def make(**changes: Any) -> Visit:
        base = place.server.url
        given = {"name": "Shop", "ddi_e164": DDI, "allowed_domains": ["localhost"], **changes}
        setting = place.client.post("/callmeback/settings", json=given).raise_for_status().json()["data"]
        script = f'<script async src="{base}/callme/v1.js" data-id="{setting["public_key"]}"></script>'
        site.pages["/"] = document(script, "<main><h1>A shop</h1></main>")
        found: Visit = visit()
        address = {"x-forwarded-for": f"198.51.100.{next(_visitors)}"}
        found.context.route(
            f"{base}/callme/*/**", lambda route: route.continue_(headers={**route.request.headers, **address})
        )
        return found.go()

    return make


def newest(place: Place, family: str) -> dict[str, Any]:
    return max(place.rows(f"/callmeback/{family}"), key=lambda row: row["id"])


def number() -> str:
    """Of a visitor of its own: nobody is rung twice within two minutes."""
    return f"07400 1235{next(_visitors)}"


def rung(place: Place) -> list[int]:
    return [len(place.scene.phone(name).legs) for name in ("101", "outside")]


def listen(phone: Any, leg: Any, hz: int, into: Path) -> None:
    """The phone makes its tone, and keeps what it hears."""
    phone.talks(leg)
    phone.within("hear", leg, path=str(into))
    phone.within("tone", leg, hz=hz)


def heard(file: Path) -> set[int]:
    """Which tones the phone heard."""
    with wave.open(str(file)) as sound:
        rate, pcm = sound.getframerate(), array("h", sound.readframes(sound.getnframes()))
    assert len(pcm) > rate, "a second of it"
    return {hz for hz in (ONE_HZ, TWO_HZ) if loudness([each / 32_768 for each in pcm], rate, hz) > 0.02}


def cdr_of(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    (cdr,) = [row for row in place.rows("/callmeback/cdrs") if row["id"] == request["cdr_id"]]
    return cdr


def ended(place: Place, found: Visit) -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest request and its CDR."""
    found.until(lambda: newest(place, "requests")["cdr_id"])
    request = newest(place, "requests")
    return request, cdr_of(place, request)


def test_from_the_click_to_two_people_who_talk(place: Place, shop: Shop, tmp_path: Path) -> None:
    known = {each["id"] for each in place.rows("/monitors")}
    place.scene.meets("outside", 200, 4)
    agent, visitor_number = place.scene.phone("101"), number()
    found = shop().ask(visitor_number)
    found.said(EN["connected"])
    for name, hz in (("101", ONE_HZ), ("outside", TWO_HZ)):
        listen(*talk(place, name), hz, tmp_path / f"{name}.wav")
    found.page.wait_for_timeout(2_500)
    for name in ("101", "outside"):
        place.scene.phone(name).do("heard")
    agent.hang_up(agent.legs[-1])
    found.said(EN["ended"])
    assert heard(tmp_path / "101.wav") == {TWO_HZ}
    assert heard(tmp_path / "outside.wav") == {ONE_HZ}
    assert found.heard()[:2] == ["opened", "requested"]
    assert {"name": "calling", "side": "visitor"} in found.evaluate(
        "window.heard.map(([name, { side }]) => ({ name, side }))"
    )
    assert found.heard()[-2:] == ["connected", "ended"]
    assert found.errors == []
    in_the_api(place, found, "44" + visitor_number.replace(" ", "")[1:], known, tmp_path)


def test_a_phone_rings_within_a_second_of_the_click(place: Place, shop: Shop) -> None:
    """Of three calls at least once: others use the machine, too."""
    place.scene.meets("101", None)
    assert any(invited_after_s(place, shop()) < FIRST_INVITE_S for _ in range(3))


def invited_after_s(place: Place, found: Visit) -> float:
    """From the click to the INVITE that comes to the agent's phone; the visitor changes their mind then."""
    agent = place.scene.phone("101")
    legs = len(agent.legs)
    found.open()
    found.evaluate("addEventListener('click', () => { window.clicked = Date.now() / 1000 }, true)")
    found.number.fill(number())
    found.press(EN["call"])
    found.until(lambda: len(agent.legs) > legs)
    invite = next(each for each in reversed(agent.messages) if each["text"].startswith("INVITE") and not each["sent"])
    took_s: float = invite["at"] - found.evaluate("window.clicked")
    print(f"{took_s * 1000:.0f} ms from the click to the first INVITE at a phone")
    found.press(EN["cancel"])
    found.until(lambda: newest(place, "requests")["reason"])
    found.until(lambda: not place.rows("/calls"))
    return took_s


def in_the_api(place: Place, found: Visit, e164: str, known: set[int], folder: Path) -> None:
    request, cdr = ended(place, found)
    assert (request["state"], request["number"]) == ("ENDED", e164)
    assert (cdr["destination"], cdr["disposition"]) == ("callmeback", "CONNECTED")
    visitor = newest(place, "visitors")
    assert (visitor["cdr_id"], visitor["state"], visitor["number"]) == (cdr["id"], "ENDED", e164)
    assert visitor["page"] == f"{found.site.url}/"
    monitor = monitor_after(place, known)
    assert monitor["live_id"] == cdr["live_id"]
    assert {hz for channel in tones(place, monitor, folder) for hz in channel} == {ONE_HZ, TWO_HZ}
    place.until(lambda: place.client.get(f"/cdrs/{cdr['id']}.trace").status_code == 200)
    trace = place.client.get(f"/cdrs/{cdr['id']}.trace").text
    for user in ("101", e164[2:]):
        assert any(line.startswith("INVITE sip:") and user in line for line in trace.splitlines()), trace[:2000]


def test_the_visitors_line_is_busy(place: Place, shop: Shop) -> None:
    place.scene.meets("outside", 486, 0.5)
    found = shop().ask(number())
    found.said(EN["busy_visitor"])
    assert found.evaluate("window.heard.at(-1)[1].reason") == "busy"
    request, cdr = ended(place, found)
    assert (request["reason"], cdr["destination"], cdr["billsec"]) == ("visitor: busy", "callmeback", 0)


def test_the_visitor_does_not_answer(place: Place, shop: Shop) -> None:
    place.scene.meets("outside", None)
    found = shop().ask(number())
    found.said(EN["calling_visitor"])
    found.said(EN["no_answer_visitor"])
    assert found.evaluate("window.heard.at(-1)[1].reason") == "no_answer"
    assert ended(place, found)[0]["reason"] == "visitor: no_answer"


def test_nobody_of_the_company_answers_and_the_visitor_is_not_rung(place: Place, shop: Shop) -> None:
    place.scene.meets("101", None)
    before = rung(place)
    found = shop().ask(number())
    found.said(EN["calling_agent"])
    found.said(EN["no_answer_agent"])
    assert rung(place) == [before[0] + 1, before[1]]
    assert ended(place, found)[0]["reason"] == "agent: no_answer"


def test_the_visitor_changes_their_mind(place: Place, shop: Shop) -> None:
    place.scene.meets("101", None)
    before = rung(place)
    found = shop().ask(number())
    found.said(EN["calling_agent"])
    found.press(EN["cancel"])
    found.said(EN["cancelled"])
    found.until(lambda: newest(place, "requests")["reason"])
    assert rung(place)[1] == before[1]


def test_nobody_is_there_and_the_callback_is_placed_when_somebody_is(place: Place, shop: Shop) -> None:
    agent, before = place.scene.phone("101"), rung(place)
    agent.register("unregister")
    place.until(lambda: [row for row in place.rows("/users") if row["ext"] == "101" and row["presence"] != "available"])
    try:
        found = shop().open()
        found.dialog.get_by_text(EN["offline_message"]).wait_for()
        found.number.fill(number())
        found.press(EN["leave"])
        found.said(EN["kept"])
        assert newest(place, "requests")["state"] == "OFFLINE"
        assert rung(place) == before
    finally:
        agent.register()
    found.until(lambda: newest(place, "requests")["state"] == "CONNECTED", 120)
    talk(place, "outside")
    phone, leg = talk(place, "101")
    phone.hang_up(leg)
    request, cdr = ended(place, found)
    assert (request["state"], cdr["disposition"]) == ("ENDED", "CONNECTED")


def test_a_country_that_is_not_allowed_rings_nobody(place: Place, shop: Shop) -> None:
    """The widget knows by itself; that the server does is in test_pbx_callback.py."""
    before = rung(place)
    found = shop(allowed_countries=["GB"]).open()
    found.number.fill("+48 601 234 567")
    found.press(EN["call"])
    found.dialog.get_by_text(EN["error_country"]).wait_for()
    assert rung(place) == before


def test_a_call_that_is_too_dear_rings_nobody(place: Place, shop: Shop) -> None:
    before = rung(place)
    found = shop(max_call_rate=0.01).ask(number())
    found.dialog.get_by_text(EN["error_refused"]).wait_for()
    assert newest(place, "requests")["reason"].startswith("price")
    assert rung(place) == before


def test_a_page_of_another_domain_has_no_widget(place: Place, shop: Shop) -> None:
    """What its scripts ask for without the widget is refused, too."""
    before, visitors = rung(place), len(place.rows("/callmeback/visitors"))
    found = shop(allowed_domains=["shop.example"])
    found.page.wait_for_function("window.ringback")
    assert found.evaluate("ringback.open().then(() => document.querySelectorAll('ringback-widget').length)") == 0
    key = newest(place, "settings")["public_key"]
    asked = f"fetch('{place.server.url}/callme/{key}/requests', {{method: 'POST', mode: 'no-cors', body: '{{}}'}})"
    found.evaluate(f"{asked}.then(() => 0)")
    assert rung(place) == before
    assert len(place.rows("/callmeback/visitors")) == visitors
