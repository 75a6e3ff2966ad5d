"""Ladder diagrams of captured calls, and links that show them to somebody without an account."""

import re
import xml.etree.ElementTree as ET
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.identity.sweep import sweep
from ringback.resources.history import ladder_page
from ringback.resources.history.ladders import SVG
from ringback.resources.history.traces import PCAP, TEXT
from ringback.sip.ladder import ladder
from ringback.store.database import value
from tests.api import Answer, Api, Client
from tests.clock import TestClock
from tests.policies import team
from tests.sip.sip_flows import START_US, flow
from tests.test_captures import cdr, expire, stored, talk

DAY_S = 86_400
ENDINGS = (".svg", ".html")


def captured(api: Api) -> int:
    """The id of a CDR of Ann's with its signalling."""
    cdr_id = cdr(api)
    stored(api, talk())
    return cdr_id


def tree(page: bytes) -> ET.Element:
    return ET.fromstring(page.decode().partition("\n")[2])


# -- the diagrams -------------------------------------------------------------------------------------------------------


def test_a_call_and_a_dialog_have_a_picture_and_a_page(api: Api) -> None:
    cdr_id, title = captured(api), "Call of 2026-11-22 10:00:00 UTC: 101 to 12025550123"
    (msdr,) = api.admin.listed("/msdrs")
    for path in (f"/cdrs/{cdr_id}", f"/msdrs/{msdr['id']}"):
        picture, page = (api.admin.get(path + ending) for ending in ENDINGS)
        assert picture.headers["content-type"] == SVG
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        root = ET.fromstring(picture.body)
        assert root.findtext("{http://www.w3.org/2000/svg}title") == title
        assert b"INVITE 12025550123" in picture.body
        assert tree(page.body).findtext(".//h1") == title


def test_the_page_says_who_ended_the_call(api: Api) -> None:
    cdr_id = captured(api)
    page = api.ann.get(f"/cdrs/{cdr_id}.html").body.decode()
    assert "<p>The call was ended by the caller: Normal Clearing.</p>" in page


def test_every_arrow_of_the_page_leads_to_its_message(api: Api) -> None:
    page = api.admin.get(f"/cdrs/{captured(api)}.html")
    root = tree(page.body)
    links = [each.get("href") for each in root.iter() if (each.get("class") or "").startswith("step ")]
    messages = [each for each in root.iter("section") if each.get("class") == "message"]
    assert links == [f"#{each.get('id')}" for each in messages]
    assert len(links) == 6
    raw = messages[0].findtext("pre") or ""
    assert raw.startswith("INVITE sip:12025550123@biloxi.example.com SIP/2.0\nVia:")
    assert (messages[0].findtext("p") or "").startswith("2026-11-22 10:00:00.000000 UDP 192.0.2.101:5060 →")


def test_nothing_foreign_gets_into_the_page(api: Api) -> None:
    page = api.admin.get(f"/cdrs/{captured(api)}.html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    text = page.body.decode()
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        assert f"{directive} {ladder_page.digest(content)}" in policy
    assert not re.search(r'\sstyle="|\son\w+="|\ssrc="|https?://(?!www\.w3\.org/2000/svg")', text)
    picture = api.admin.get(f"/cdrs/{api.admin.listed('/cdrs')[0]['id']}.svg")
    (style,) = re.findall("<style>(.*?)</style>", picture.body.decode(), re.S)
    assert f"style-src {ladder_page.digest(style)}" in picture.headers["content-security-policy"]


def test_who_may_not_see_the_trace_sees_no_ladder(api: Api) -> None:
    cdr_id = captured(api)
    (msdr,) = api.admin.listed("/msdrs")
    for path in (f"/cdrs/{cdr_id}", f"/msdrs/{msdr['id']}"):
        for ending in ENDINGS:
            assert api.ann.get(path + ending).status == 200
            assert api.bob.get(path + ending).status == 403
            assert api.stranger.get(path + ending).status == 404
            assert api.nobody.get(path + ending).status == 401


def test_without_anything_captured_there_is_no_ladder_and_of_a_part_it_says_so(api: Api) -> None:
    cdr_id = captured(api)
    assert "x-incomplete" not in api.admin.get(f"/cdrs/{cdr_id}.html").headers
    expire(api, START_US + 1_000_000)
    page = api.admin.get(f"/cdrs/{cdr_id}.html")
    assert "x-incomplete" in page.headers
    assert b"Part of this call's" in page.body.replace(b"&#x27;", b"'")
    expire(api, START_US + 60_000_000)
    assert [api.admin.get(f"/cdrs/{cdr_id}{ending}").status for ending in ENDINGS] == [404, 404]


hostile = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"</pre><script>alert(1)</script>", b"]]>", b"<!--", b"\x00\x0b\x1b\xff", b"&lt;", b'"onload="']),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(hostile, st.integers(0, 5))
def test_whatever_was_captured_the_page_shows_it_as_text(content: bytes, place: int) -> None:
    packets = flow("0 alice > bob INVITE 1 sdp=sendrecv\n1 bob > alice 180/INVITE 1")
    parts = packets[0].payload.split(b"\r\n", 5)
    parts[place] += content
    changed = [packets[0]._replace(payload=b"\r\n".join(parts)), packets[1]._replace(payload=b"SIP/2.0 " + content)]
    root = tree(ladder_page.page(ladder(changed), "t", {"a?b&c": 'x"<y'}))
    shapes = {"svg", "g", "a", "title", "rect", "line", "path", "text"}
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "a", "main", "div"}
    found = {each.tag.removeprefix("{http://www.w3.org/2000/svg}") for each in root.iter()}
    assert found <= shapes | allowed | {"section", "pre", "script"}
    assert len(list(root.iter("script"))) == 1
    assert not any(name.startswith("on") for each in root.iter() for name in each.attrib)


# -- shares -------------------------------------------------------------------------------------------------------------


def shared(api: Api, client: Client, cdr_id: int, **body: Any) -> tuple[int, str]:
    """The id of a new link, and its path at the root."""
    answer = client.post(f"/cdrs/{cdr_id}/share", body)
    assert answer.status == 201, answer.body
    return answer.data["id"], "/" + answer.data["url"]


def is_gone(answer: Answer, api: Api) -> bool:
    """As if it had never been."""
    never = api.nobody.get(f"//share/{'0' * 40}")
    assert never.status == 404
    return (answer.status, answer.body, answer.headers) == (never.status, never.body, never.headers)


def test_a_link_shows_ladder_trace_and_capture_without_an_account(api: Api) -> None:
    cdr_id = captured(api)
    _, path = shared(api, api.ann, cdr_id)
    assert re.fullmatch("//share/[0-9a-f]{40}", path)
    page = api.nobody.get(path)
    assert page.status == 200
    links = [each.get("href") or "" for each in tree(page.body).findall(".//header//a")]
    assert links == [f"{path[8:]}/trace.txt", f"{path[8:]}/call.pcap"]
    text, dump = (api.nobody.get(f"//share/{each}") for each in links)
    assert (text.headers["content-type"], dump.headers["content-type"]) == (TEXT, PCAP)
    assert text.body == api.ann.get(f"/cdrs/{cdr_id}.trace").body
    assert dump.body == api.ann.get(f"/cdrs/{cdr_id}.pcap").body
    for answer in (page, text, dump):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert "no-store" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers
        assert b"Tester" not in answer.body  # everybody's last name


def test_a_link_works_for_a_week_or_as_many_days_as_asked(api: Api) -> None:
    cdr_id = captured(api)
    shared(api, api.ann, cdr_id)
    shared(api, api.ann, cdr_id, days=90)
    for days in (0, 91, "7", None, 1.5):
        answer = api.ann.post(f"/cdrs/{cdr_id}/share", {"days": days})
        assert (answer.status, answer.fields) == (400, ["days"])
    now = api.services.clock()
    sql = "SELECT expires_at FROM shares WHERE customer_id = :customer ORDER BY id"
    ends = api.services.database.read(lambda db: [row[0] for row in db.all(sql, {"customer": api.acme})])
    assert [round((end - now) / DAY_S) for end in ends] == [7, 90]


def test_an_ended_a_revoked_and_an_unknown_link_are_the_same(api: Api, clock: TestClock) -> None:
    cdr_id = captured(api)
    revoked_id, revoked = shared(api, api.ann, cdr_id)
    _, ended = shared(api, api.ann, cdr_id)
    assert api.ann.delete(f"/shares/{revoked_id}").status == 204
    assert is_gone(api.nobody.get(revoked), api)
    assert api.nobody.get(ended).status == 200
    clock.advance(7 * DAY_S)
    for path in (ended, f"{ended}/trace.txt", f"{ended}/call.pcap", "//share/x", "//share/%00"):
        assert is_gone(api.nobody.get(path), api), path
    sweep(api.services.database, api.services.clock())
    assert api.services.database.read(lambda db: value(db, "SELECT count(*) FROM shares")) == 0


def test_the_token_is_nowhere_in_the_database(api: Api) -> None:
    _, path = shared(api, api.ann, captured(api))
    token = path.rpartition("/")[2]
    assert "url" not in api.ann.listed("/shares")[0]
    stored_hash = api.services.database.read(lambda db: value(db, "SELECT hash FROM shares"))
    assert stored_hash != token


def test_a_user_sees_and_revokes_own_links_and_an_administrator_all(api: Api) -> None:
    cdr_id = captured(api)
    anns, _ = shared(api, api.ann, cdr_id)
    admins, path = shared(api, api.admin, cdr_id)
    assert [each["id"] for each in api.ann.listed("/shares")] == [anns]
    assert {each["id"] for each in api.admin.listed("/shares")} == {anns, admins}
    assert api.stranger.listed("/shares") == []
    (share,) = api.ann.listed("/shares")
    assert list(share) == ["id", "cdr_id", "user_id", "created_at", "expires_at"]
    assert (share["cdr_id"], share["user_id"]) == (cdr_id, api.ann.user_id)
    assert api.ann.delete(f"/shares/{admins}").status == 403
    assert api.stranger.delete(f"/shares/{admins}").status == 404
    assert api.nobody.get(path).status == 200
    assert api.admin.delete(f"/shares/{anns}").status == 204


def test_only_who_may_see_the_call_shares_it_and_only_what_was_captured(api: Api) -> None:
    cdr_id = captured(api)
    path = f"/cdrs/{cdr_id}/share"
    assert [each.post(path, {}).status for each in (api.bob, api.stranger, api.nobody)] == [403, 404, 401]
    assert api.admin.post(f"/cdrs/{cdr(api, dst='12025550777')}/share", {}).status == 404


def test_who_may_not_export_does_not_share(api: Api) -> None:
    cdr_id = captured(api)
    _, path = shared(api, api.ann, cdr_id)
    team(api, "Shop", api.ann, policies=("export_disabled",))
    assert api.ann.post(f"/cdrs/{cdr_id}/share", {}).status == 403
    assert api.ann.get("/shares").status == 403
    assert is_gone(api.nobody.get(path), api)
    assert api.admin.get("/shares").json["total"] == 1


def test_a_link_ends_with_its_user_and_with_the_call(api: Api) -> None:
    cdr_id = captured(api)
    _, anns = shared(api, api.ann, cdr_id)
    _, admins = shared(api, api.admin, cdr_id)
    assert api.admin.patch(f"/users/{api.ann.user_id}", {"active": False}).status == 200
    assert is_gone(api.nobody.get(anns), api)
    assert api.nobody.get(admins).status == 200
    assert api.admin.delete("/cdrs").status == 204
    assert is_gone(api.nobody.get(admins), api)


def test_making_opening_and_revoking_is_in_the_audit_log(api: Api) -> None:
    cdr_id = captured(api)
    share_id, path = shared(api, api.ann, cdr_id, days=3)
    api.nobody.get(path)
    api.nobody.get(f"{path}/call.pcap")
    api.nobody.call("HEAD", path)
    api.ann.delete(f"/shares/{share_id}")
    told = api.admin.listed("/auditlog", ("object_class", "eq", "Share"), sort="id")
    assert [(each["action"], each["details"]) for each in told] == [
        ("create", {"cdr_id": cdr_id, "days": 3}),
        ("open", {"cdr_id": cdr_id, "file": "ladder"}),
        ("open", {"cdr_id": cdr_id, "file": "call.pcap"}),
        ("delete", None),
    ]
    assert {each["object_id"] for each in told} == {share_id}
    assert told[1]["user_id"] is None
    assert told[1]["ip"] == "127.0.0.1"
