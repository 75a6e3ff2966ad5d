"""The legs of one call, found without mappings; legs of other calls never."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.sip.message import scan
from ringback.sip.packet import Endpoint, Packet
from ringback.store import retention, whole_calls
from ringback.store.database import value
from tests import lab_calls
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.packets import from_file
from tests.sip.sip_flows import START_US
from tests.test_captures import cdr
from tests.test_lab_captures import replayed

ANN, PBX, PROXY, BOB, CAROL = "192.0.2.101", "192.0.2.10", "192.0.2.20", "192.0.2.102", "192.0.2.103"
UUIDS = ["ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2"]


@dataclass
class Dialog:
    """One leg: who calls whom, over which hosts, when (s), with which headers in its INVITE and media at which port."""

    call_id: str
    src: str = "101"
    dst: str = "102"
    path: tuple[str, ...] = (ANN, PBX)
    at: float = 0.0
    answered: float = 2.0
    ended: float = 10.0
    headers: Sequence[str] = ()
    media: str = ""
    refers: str = ""
    redirects: str = ""

    def packets(self) -> list[Packet]:
        told = [(0.0, f"INVITE sip:{self.dst}@x SIP/2.0", "1 INVITE", self.headers)]
        told += [(self.answered, "SIP/2.0 200 OK", "1 INVITE", ())] if self.answered < self.ended else []
        told += (
            [(self.ended - 0.5, "REFER sip:x SIP/2.0", "2 REFER", [f"Refer-To: {self.refers}"])] if self.refers else []
        )
        told.append((self.ended, *self._last()))
        hops = list(zip(self.path, self.path[1:], strict=False))
        return [
            self._packet(after + n / 1000, hop, start, cseq, more, n)
            for after, start, cseq, more in told
            for n, hop in enumerate(hops[::-1] if start.startswith("SIP") else hops)
        ]

    def _last(self) -> tuple[str, str, Sequence[str]]:
        if self.redirects:
            return "SIP/2.0 302 Moved Temporarily", "1 INVITE", [f"Contact: {self.redirects}"]
        if self.answered >= self.ended:
            return "SIP/2.0 486 Busy Here", "1 INVITE", ()
        return "BYE sip:x SIP/2.0", "3 BYE", ()

    def _packet(self, after: float, hop: tuple[str, str], start: str, cseq: str, more: Iterable[str], n: int) -> Packet:
        ip, _, port = self.media.partition(":")
        body = f"v=0\r\nc=IN IP4 {ip}\r\nm=audio {port} RTP/AVP 8\r\n" if ip and "INVITE s" in start else ""
        tag = "" if start.startswith("INVITE") else ";tag=b"
        vias = [f"Via: SIP/2.0/UDP h{each};branch=z9hG4bK{self.call_id}{cseq[0]}{each}" for each in range(n, -1, -1)]
        head = [
            start,
            *vias,
            f"From: <sip:{self.src}@x>;tag=a",
            f"To: <sip:{self.dst}@x>{tag}",
            f"Call-ID: {self.call_id}",
        ]
        lines = [*head, f"CSeq: {cseq}", *more, f"Content-Length: {len(body)}", "", body]
        src, dst = hop[::-1] if start.startswith("SIP") else hop
        at_us = START_US + round((self.at + after) * 1_000_000)
        return Packet(at_us, "UDP", Endpoint(src, 5060), Endpoint(dst, 5060), "\r\n".join(lines).encode())


def store(api: Api, *dialogs: Dialog) -> None:
    for each in dialogs:
        from_file(api, each.packets())


def shown(api: Api, call_id: str) -> set[str]:
    """The Call-IDs of what is shown of a leg."""
    bound = {"call_id": call_id}
    msdr_id = api.write(lambda db: value(db, "SELECT id FROM msdrs WHERE call_id = :call_id", bound))
    found = api.services.database.read(lambda db: whole_calls.of_msdr(db, api.acme, msdr_id, None))
    return {scan(packet.payload).call_id for packet in found.packets} - {""}


def groups(api: Api, dialogs: Iterable[Dialog]) -> set[frozenset[str]]:
    """The same from whichever leg of a group."""
    seen = {each.call_id: frozenset(shown(api, each.call_id)) for each in dialogs}
    assert all(seen[other] == members for members in seen.values() for other in members)
    return set(seen.values())


IN = Dialog("in@ann")
OUT = Dialog("out@pbx", path=(PBX, BOB), at=0.1, ended=10.1)
ELSEWHERE = Dialog("other@far", src="777", dst="888", path=("198.51.100.1", "198.51.100.2"), at=0.2)


def other(**changes: object) -> Dialog:
    """The outgoing leg, but with other parties: nothing but `changes` ties it."""
    return Dialog(**{**OUT.__dict__, "src": "8001", "dst": "8002", **changes})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (IN, other(headers=["X-CID: in@ann"])),
        (IN, other(headers=["X-Original-Call-ID: in@ann"])),
        (IN, other(headers=["X-CID:\r\n in@ann"])),  # over two lines, as RFC 3261 section 7.3.1 has it
        (IN, other(headers=["Replaces: in@ann\r\n\t;to-tag=a;from-tag=b"])),
        (IN, other(headers=["Replaces: in@ann;to-tag=a;from-tag=b"])),
        (IN, other(headers=["Join: in@ann;to-tag=a;from-tag=b"])),
        (IN, other(headers=["Target-Dialog: in@ann;local-tag=a;remote-tag=b"])),
        (IN, other(headers=["In-Reply-To: gone@x, in@ann"])),
        (Dialog("in@ann", refers="<sip:9@x?Replaces=out%40pbx%3Bto-tag%3D1>"), other()),
        (Dialog("in@ann", refers="\r\n <sip:8002@x>"), other(at=9.8, answered=1, ended=5)),
        (Dialog("in@ann", refers="<sip:8002@x>"), other(at=9.8, answered=1, ended=5)),
        (
            Dialog("in@ann", src="301", path=(PBX, ANN), answered=10, ended=1, redirects="<sip:8002@x>;q=1, <sip:9@x>"),
            other(at=1.1),
        ),
        (
            Dialog("in@ann", headers=[f"Session-ID: {UUIDS[0]};remote={'0' * 32}"]),
            other(headers=[f"Session-ID: {UUIDS[1]};remote={UUIDS[0]}"]),
        ),
        (
            Dialog("in@ann", headers=['P-Charging-Vector: icid-value="1234bc9876e";icid-generated-at=x']),
            other(headers=["P-Charging-Vector: icid-value=1234bc9876e"]),
        ),
        (Dialog("in@ann", media=f"{ANN}:4000"), other(media=f"{ANN}:4000")),
        (IN, OUT),
        (Dialog("in@ann", dst="6102"), OUT),
        (IN, other(src="101", dst="4917012345678", headers=["Diversion: <sip:102@x>;reason=unconditional"])),
        (Dialog("in@ann", path=(ANN, PROXY, PBX)), Dialog("out@pbx", path=(PBX, PROXY, BOB), at=0.1, ended=10.1)),
    ],
)
def test_what_ties_two_legs(api: Api, one: Dialog, two: Dialog) -> None:
    store(api, two, ELSEWHERE, one)
    assert groups(api, [one, two, ELSEWHERE]) == {frozenset({"in@ann", "out@pbx"}), frozenset({"other@far"})}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (IN, other()),
        # A second call of the same caller, not sent by the PBX.
        (IN, Dialog("out@pbx", at=3)),
        # The first one was over.
        (Dialog("in@ann", answered=3, ended=3), Dialog("out@pbx", path=(PBX, BOB), at=30, ended=40)),
        # The same id, days later.
        *(
            (Dialog("in@ann", headers=[line]), other(at=3 * 86_400, headers=[line]))
            for line in (f"Session-ID: {UUIDS[0]}", "P-Charging-Vector: icid-value=1234bc9876e")
        ),
        (Dialog("in@ann"), other(at=3 * 86_400, headers=["In-Reply-To: in@ann"])),
        # Ids that say nothing.
        *(
            (Dialog("in@ann", headers=[line]), other(headers=[line]))
            for line in (f"Session-ID: {'0' * 32};remote={'0' * 32}", "X-CID: none", "X-CID: in", "Session-ID: abc")
        ),
        # Media on hold everywhere.
        (Dialog("in@ann", media="0.0.0.0:4000"), other(media="0.0.0.0:4000")),
        # One machine has both phones and the PBX: nothing tells who leads to whom.
        (Dialog("in@ann", path=(PBX, PBX)), Dialog("out@pbx", src="8001", path=(PBX, PBX), at=0.1)),
    ],
)
def test_what_ties_nothing(api: Api, one: Dialog, two: Dialog) -> None:
    store(api, one, two)
    assert groups(api, [one, two]) == {frozenset({one.call_id}), frozenset({two.call_id})}


def test_a_fit_that_is_not_the_only_one_ties_nothing(api: Api) -> None:
    """Also when the second comes in later, and until it goes."""
    store(api, IN, OUT)
    assert shown(api, "in@ann") == {"in@ann", "out@pbx"}
    store(api, Dialog("again@ann", at=0.05))
    assert shown(api, "in@ann") == {"in@ann"}
    assert shown(api, "out@pbx") == {"out@pbx"}


def test_a_constant_header_is_no_id(api: Api) -> None:
    constant = [
        Dialog(f"c{n}@x", src=f"9{n}", dst=f"8{n}", headers=["P-Charging-Vector: icid-value=constant"])
        for n in range(66)
    ]
    store(api, *constant)
    assert shown(api, "c3@x") == {"c3@x"}


def test_transitively(api: Api) -> None:
    """A queue, its two members, and a transfer from the second one."""
    call = [
        Dialog("in@ann", dst="600", ended=30),
        Dialog("ring1@pbx", path=(PBX, BOB), at=1, answered=5, ended=5),
        Dialog("ring2@pbx", dst="103", path=(PBX, CAROL), at=6, ended=20, refers="<sip:104@x>"),
        Dialog("on@pbx", src="5555", dst="104", path=(CAROL, PBX), at=25.7, ended=9),
    ]
    dialogs = [*call[::-1], ELSEWHERE]
    store(api, *dialogs)
    assert groups(api, dialogs) == {frozenset(each.call_id for each in call), frozenset({"other@far"})}


def test_what_an_agent_says_ties(api: Api) -> None:
    third = Dialog("third@x", src="1", dst="2", path=("198.51.100.1", "198.51.100.2"))
    said = [(IN, "channel-7"), (other(), "in@ann"), (third, "channel-7"), (ELSEWHERE, "other@far")]
    sent = [hep(packet, correlation=told) for dialog, told in said for packet in dialog.packets()]
    with collecting(api) as collector:
        send_tcp(collector, sent)
        settled(collector, len(sent))
    assert shown(api, "out@pbx") == {"in@ann", "out@pbx", "third@x"}


def reported(api: Api, *seen: tuple[int, float, Dialog]) -> None:
    """`seen`: an agent's number, by how much its clock is wrong (s), and a dialog that it saw."""
    sent = [
        hep(packet._replace(at_us=packet.at_us + round(wrong * 1_000_000)), agent=agent)
        for agent, wrong, dialog in seen
        for packet in dialog.packets()
    ]
    with collecting(api) as collector:
        send_tcp(collector, sent)
        settled(collector, len(sent))


@pytest.mark.parametrize("wrong", [0.0, 2.0])
@pytest.mark.parametrize("after", [0.012, 0.5])
def test_who_dials_the_same_number_again_at_once_has_another_call(api: Api, wrong: float, after: float) -> None:
    """The PBX saw both legs by one clock, so it is known which of them was over."""
    again = 8 + after
    calls = [
        [
            Dialog("in@ann", dst="600", answered=0.5, ended=8, media=f"{ANN}:4000"),
            Dialog("out@pbx", path=(PBX, BOB), at=0.6, answered=1, ended=6, refers="<sip:103@x>"),
            Dialog("on@pbx", dst="103", path=(PBX, CAROL), at=6.7, answered=0.5, ended=1.3),
        ],
        [
            Dialog("again@ann", dst="600", at=again, answered=0.5, ended=8, media=f"{ANN}:4000"),
            Dialog("second@pbx", path=(PBX, BOB), at=again + 0.003, answered=1, ended=7.9),
        ],
    ]
    reported(api, *((1, wrong, each) for call in calls for each in call))
    dialogs = [each for call in calls for each in call]
    assert groups(api, dialogs) == {frozenset(each.call_id for each in call) for call in calls}


@pytest.mark.parametrize("other_caller", ["101", "104"])
def test_each_of_two_transfers_to_one_number_has_its_own_call(api: Api, other_caller: str) -> None:
    def transferred(n: int, caller: str, at: float) -> list[Dialog]:
        return [
            Dialog(f"in{n}@ann", caller, "600", at=at, answered=0.1, ended=2),
            Dialog(f"out{n}@pbx", caller, path=(PBX, BOB), at=at + 0.15, answered=0.2, ended=1, refers="<sip:103@x>"),
            Dialog(f"on{n}@pbx", caller, "103", path=(PBX, CAROL), at=at + 0.8, answered=0.2, ended=1.1),
        ]

    calls = [transferred(1, "101", 0), transferred(2, other_caller, 2.1)]
    dialogs = [each for call in calls for each in call]
    reported(api, *((1, 0, each) for each in dialogs))
    assert groups(api, dialogs) == {frozenset(each.call_id for each in call) for call in calls}


def test_who_was_refused_and_dials_the_same_phone_again_has_another_call(api: Api) -> None:
    dialogs = [
        Dialog("in@ann", answered=3, ended=3),
        Dialog("out@pbx", path=(PBX, BOB), at=0.1, answered=2.9, ended=2.9),
        Dialog("again@ann", at=4),
        Dialog("second@pbx", path=(PBX, BOB), at=4.1),
    ]
    reported(api, *((1, 0, each) for each in dialogs))
    assert groups(api, dialogs) == {frozenset({"in@ann", "out@pbx"}), frozenset({"again@ann", "second@pbx"})}


def test_clocks_of_agents_that_saw_different_legs_may_differ(api: Api) -> None:
    """The proxy saw the leg that leads to the PBX, the PBX the one that goes on."""
    out = Dialog("out@pbx", path=(PBX, BOB), at=0.1, ended=5)
    reported(api, (1, 1.9, Dialog("in@ann", dst="600", ended=5)), (2, 0, out), (2, 0, ELSEWHERE))
    assert groups(api, [IN, out, ELSEWHERE]) == {frozenset({"in@ann", "out@pbx"}), frozenset({"other@far"})}


def test_a_cdr_shows_the_legs_of_its_legs(api: Api) -> None:
    """One leg has the numbers of the CDR; the other is found from there. Also by the CDR's name at the PBX."""
    cdr_id = cdr(api, src="101", dst="12025550123")
    store(api, Dialog("in@ann", dst="12025550123"), other(headers=["X-CID: in@ann"]))
    assert _calls(api, cdr_id) == {"in@ann", "out@pbx"}
    store(api, Dialog("named@pbx", src="3", dst="4", path=("198.51.100.3", "198.51.100.4")))
    assert _calls(api, cdr(api, src="5", dst="6", live_id=99, uniqueid="named@pbx")) == {"named@pbx"}


def _calls(api: Api, cdr_id: int) -> set[str]:
    found = api.services.database.read(lambda db: whole_calls.of_cdr(db, api.acme, cdr_id, None))
    return {scan(packet.payload).call_id for packet in found.packets} - {""}


def test_another_customer_has_no_part_in_it(api: Api) -> None:
    store(api, IN)
    from_file(api, OUT.packets(), api.stranger.customer_id)
    assert shown(api, "in@ann") == {"in@ann"}


def test_keys_go_with_their_session(api: Api) -> None:
    store(api, IN, other(headers=["X-CID: in@ann"], media=f"{ANN}:4000"))
    assert keys(api) == ["=in@ann", f"m{ANN}:4000"]
    _clear(api)
    assert keys(api) == []


def keys(api: Api) -> list[str]:
    return [key for (key,) in api.write(lambda db: db.all("SELECT key FROM leg_keys ORDER BY key"))]


# -- calls of the lab -------------------------------------------------------------------------------------------------


def test_each_call_of_the_lab_is_whole_and_has_nothing_of_others(api: Api) -> None:
    """Proxied, through a B2BUA, transferred blind and attended, by the PBX and by phones, through a queue."""
    names = lab_calls.names()
    replayed(api, *names)
    for name in names:
        ours = {leg["call_id"] for leg in lab_calls.expected(name)["legs"]}
        for call_id in ours:
            assert shown(api, call_id) == ours, name


# -- many calls, in any order -----------------------------------------------------------------------------------------


def _busy(dice: random.Random) -> list[list[Dialog]]:
    """Calls through one PBX at about one time, some between the same people."""
    calls = []
    for n in range(dice.randint(2, 5)):
        src, dst, at = str(dice.randint(101, 104)), str(dice.randint(105, 107)), dice.uniform(0, 12)
        ended = at + dice.uniform(1, 8)
        one = Dialog(f"in{n}@x", src, dst, (ANN, PROXY, PBX), at, 2, ended - at)
        two = Dialog(f"out{n}@x", src, dst, (PBX, BOB), at + 0.1, 1.9, ended - at - 0.1)
        if dice.random() < 0.5:
            two.headers = [dice.choice(["X-CID: {0}", "Replaces: {0};to-tag=1"]).format(one.call_id)]
        calls.append([one, two])
    return calls


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_coming_in_does_not_matter(api: Api, dice: random.Random) -> None:
    calls = _busy(dice)
    dialogs = [each for call in calls for each in call]
    found = set()
    for _ in range(3):
        _clear(api)
        dice.shuffle(dialogs)
        store(api, *dialogs)
        found.add(frozenset(groups(api, dialogs)))
    assert len(found) == 1
    whole = [{each.call_id for each in call} for call in calls]
    for group in found.pop():
        assert any(group <= call for call in whole), group


def _clear(api: Api) -> None:
    ids = api.write(lambda db: [row[0] for row in db.all("SELECT id FROM mediasessions")])
    api.write(lambda db: retention.take_sessions(db, api.acme, ids, 100_000))
