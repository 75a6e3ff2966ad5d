"""How each side heard the other: RTCP, RTCP-XR, RTCP as JSON, RFC 6035, and the E-model (ITU-T G.107)."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip import trace
from ringback.sip.dialogs import media_sessions
from ringback.sip.dialogs.dialog import Dialog
from ringback.sip.dialogs.session import MediaSession
from ringback.sip.ladder import Outcome, ladder
from ringback.sip.message import scan
from ringback.sip.packet import Endpoint, Packet
from ringback.sip.quality import measured, mos, quality
from ringback.sip.reports import is_report, reports, rtcp_json, voice_reports
from ringback.sip.reports.rtcp import VoiceMetrics

from .sip_flows import CALL_ID, PEOPLE, START_US, flow

TALK = """
    0.0   alice > bob    INVITE      1  sdp=sendrecv
    4.5   bob   > alice  200/INVITE  1  sdp=sendrecv
    4.6   alice > bob    ACK         1  to-tag
    65.4  bob   > alice  BYE         1  to-tag
"""
ALICE, BOB = (Endpoint(PEOPLE[name].host, PEOPLE[name].port + 1) for name in ("alice", "bob"))
NAT = Endpoint("198.51.100.7", 40_000)
OF_ALICE, OF_BOB = 0xA, 0xB


def report(at_s: float, src: Endpoint, dst: Endpoint, payload: bytes) -> Packet:
    return Packet(START_US + round(at_s * 1_000_000), "UDP", src, dst, payload)


def block(
    ssrc: int, lost: int = 0, jitter: int = 0, fraction: int = 0, highest: int = 0, last_sr: int = 0, delay: int = 0
) -> bytes:
    return struct.pack("!6I", ssrc, fraction << 24 | lost & 0xFFFFFF, highest, jitter, last_sr, delay)


def sender_report(ssrc: int, ntp: int, packets: int, *blocks: bytes) -> bytes:
    return struct.pack(
        "!BBH6I", 0x80 | len(blocks), 200, 6 + 6 * len(blocks), ssrc, ntp >> 16, (ntp & 0xFFFF) << 16, 0, packets, 0
    ) + b"".join(blocks)


def receiver_report(ssrc: int, *blocks: bytes) -> bytes:
    return struct.pack("!BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), ssrc) + b"".join(blocks)


def extended(ssrc: int, r: int = 80, lq: int = 41, cq: int = 40, trip_ms: int = 90) -> bytes:
    """RFC 3611 section 4.7."""
    metrics = struct.pack(
        "!IBBBBHHHHBBBBBBBBBBHHH", OF_BOB, 13, 5, 0, 0, 0, 0, trip_ms, 30, 0, 0, 0, 16, r, 127, lq, cq, 0, 0, 40, 80, 80
    )
    other = struct.pack("!BBHII", 4, 0, 2, 1, 2)
    return struct.pack("!BBHI", 0x80, 207, 13, ssrc) + other + struct.pack("!BBH", 7, 0, 8) + metrics


def call(*given: Packet, table: str = TALK) -> MediaSession:
    sessions = media_sessions([*flow(table), *given])
    return next(one for one in sessions if one.call_id == CALL_ID)


def directions(session: MediaSession) -> dict[str, dict[str, object]]:
    told = measured(session)
    assert told is not None
    return {f"{each['from']}>{each['to']}": each for each in told["directions"]}


def test_what_was_agreed_on_is_known_without_reports() -> None:
    assert measured(call()) == {
        "reports": 0, "fraction_lost": 0, "lost": 0, "jitter": 0, "round_trip_ms": None,
        "codecs": ["PCMU"],
        "media": {
            "src": {"address": "192.0.2.101:49172", "codecs": ["PCMU"], "direction": "sendrecv"},
            "dst": {"address": "192.0.2.201:3456", "codecs": ["PCMU"], "direction": "sendrecv"},
        },
        "directions": [],
    }  # fmt: skip


def test_nothing_is_known_of_a_call_without_sdp() -> None:
    assert measured(call(table="0.0 alice > bob INVITE 1")) is None


def test_both_directions_by_the_addresses_in_sdp() -> None:
    said = [
        report(10, ALICE, BOB, sender_report(OF_ALICE, 0x10000, 500, block(OF_BOB, lost=5, jitter=80))),
        report(
            11,
            BOB,
            ALICE,
            sender_report(OF_BOB, 0x20000, 1000, block(OF_ALICE, lost=0, jitter=16, last_sr=0x10000, delay=60_000)),
        ),
        report(20, ALICE, BOB, sender_report(OF_ALICE, 0x30000, 1000, block(OF_BOB, lost=20, jitter=160))),
    ]
    session = call(*said)
    told = directions(session)
    assert list(told) == ["src>dst", "dst>src"]
    heard_by_alice = told["dst>src"]
    assert {name: heard_by_alice[name] for name in ("codec", "packets", "lost", "loss", "jitter_ms", "jitter_max_ms")} == {
        "codec": "PCMU", "packets": 1000, "lost": 20, "loss": 0.02, "jitter_ms": 15.0, "jitter_max_ms": 20.0,
    }  # fmt: skip
    assert told["src>dst"]["loss"] == 0
    assert told["src>dst"]["round_trip_ms"] == pytest.approx(1000 - 60_000 / 65.536, abs=0.01)
    assert (heard_by_alice["mos"], told["src>dst"]["mos"]) == (4.23, 4.41)
    whole = quality(session.rtcp)
    assert whole is not None
    assert (whole.reports, whole.lost, whole.jitter) == (3, 20, 160)


def test_behind_nat_the_source_says_whose_a_report_is() -> None:
    told = directions(
        call(
            report(10, NAT, BOB, sender_report(OF_ALICE, 1, 500)),
            report(11, BOB, NAT, receiver_report(OF_BOB, block(OF_ALICE, jitter=8))),
        )
    )
    assert told["src>dst"]["jitter_ms"] == 1.0


def test_loss_without_the_number_of_packets_sent() -> None:
    first, last = block(OF_BOB, lost=10, highest=1_000), block(OF_BOB, lost=60, highest=2_000)
    by_number = call(report(9, ALICE, BOB, receiver_report(1, first)), report(19, ALICE, BOB, receiver_report(1, last)))
    assert directions(by_number)["dst>src"]["loss"] == 0.05
    by_interval = call(report(9, ALICE, BOB, receiver_report(1, block(OF_BOB, lost=10, fraction=64))))
    assert directions(by_interval)["dst>src"]["loss"] == 0.25
    duplicates = call(report(9, ALICE, BOB, receiver_report(1, block(OF_BOB, lost=-4))))
    assert (directions(duplicates)["dst>src"]["lost"], directions(duplicates)["dst>src"]["loss"]) == (0, 0)


def test_the_clock_of_the_codec_makes_milliseconds() -> None:
    opus = [
        each._replace(
            payload=each.payload.replace(b"RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", b"RTP/AVP 0\r\na=rtpmap:0 opus/48000/2")
        )
        for each in flow(TALK)
    ]
    opus = [each._replace(payload=each.payload.replace(b"Content-Length: 1", b"X: 1")) for each in opus]
    (session,) = media_sessions([*opus, report(9, ALICE, BOB, receiver_report(1, block(OF_BOB, jitter=480)))])
    assert directions(session)["dst>src"]["jitter_ms"] == 10.0
    assert directions(session)["dst>src"]["codec"] == "opus"


def test_voip_metrics_of_rtcp_xr() -> None:
    (found,) = reports(extended(OF_ALICE))
    assert found.voice == (
        VoiceMetrics(OF_BOB, 13 / 256, 5 / 256, round_trip_ms=90, delay_ms=30, r=80, mos_lq=4.1, mos_cq=4.0),
    )
    told = directions(call(report(10, ALICE, BOB, extended(OF_ALICE))))
    assert (told["dst>src"]["mos_reported"], told["dst>src"]["round_trip_ms"]) == (4.0, 90)
    unknown = reports(extended(OF_ALICE, r=127, lq=127, cq=127, trip_ms=0))[0].voice[0]
    assert (unknown.r, unknown.mos_lq, unknown.mos_cq, unknown.round_trip_ms) == (None, None, None, None)


ASTERISK = {
    "ssrc": -5, "type": 200, "report_count": 1,
    "sender_information": {
        "ntp_timestamp_sec": "1795341610", "ntp_timestamp_usec": "500000", "rtp_timestamp": -3, "packets": 500, "octets": 80000,
    },
    "report_blocks": [{
        "source_ssrc": OF_BOB, "fraction_lost": 3, "packets_lost": 4, "highest_seq_no": 900, "ia_jitter": 40, "lsr": "77", "dlsr": 65536,
    }],
}  # fmt: skip
RTPENGINE = {
    "sender_information": {
        "ntp_timestamp_sec": 3667834977, "ntp_timestamp_usec": 2355549043, "octets": 82240, "rtp_timestamp": 84679, "packets": 514,
    },
    "ssrc": 3724882677, "type": 200, "report_count": 1,
    "report_blocks": [{
        "source_ssrc": 2062957521, "highest_seq_no": 4663, "fraction_lost": 0, "ia_jitter": 13, "packets_lost": 0, "lsr": 5, "dlsr": 7,
    }],
    "report_blocks_xr": {"fraction_lost": 13, "round_trip_delay": 90}, "sdes_ssrc": 1, "sdes_information": [],
}  # fmt: skip


def test_json_as_asterisk_sends_it() -> None:
    (found,) = rtcp_json.reports(json.dumps(ASTERISK).encode())
    ntp_s = 1795341610 + 2_208_988_800
    assert (found.kind, found.ssrc, found.packets, found.ntp) == (
        "SR",
        0xFFFFFFFB,
        500,
        (ntp_s & 0xFFFF) << 16 | 0x8000,
    )
    (heard,) = found.blocks
    assert (heard.ssrc, heard.lost, heard.jitter, heard.last_sr, heard.delay_s, heard.highest) == (
        OF_BOB,
        4,
        40,
        77,
        1.0,
        900,
    )
    session = call(report(10, ALICE, BOB, json.dumps(ASTERISK).encode()))
    assert directions(session)["dst>src"]["jitter_ms"] == 5.0
    assert quality(session.rtcp) is not None


def test_json_of_asterisk_that_has_heard_nothing_yet() -> None:
    zeros = {"ssrc": 0, "type": 201, "report_blocks": [{"source_ssrc": 0, "fraction_lost": 0, "lsr": "0", "dlsr": 0}]}
    (found,) = rtcp_json.reports(json.dumps(zeros).encode())
    assert found.blocks == ()


def test_json_as_rtpengine_sends_it() -> None:
    (found,) = rtcp_json.reports(json.dumps(RTPENGINE).encode())
    assert found.ntp == (3667834977 & 0xFFFF) << 16 | 2355549043 >> 16
    assert found.voice == (VoiceMetrics(loss=13 / 256, round_trip_ms=90),)


@pytest.mark.parametrize(
    "payload",
    [
        b"{", b"{}", b'{"a":' * 30_000, b'{"report_blocks":[1,{"ia_jitter":1e400,"lsr":[],"dlsr":null}],"ssrc":true}',
        b'{"report_blocks":{"a":1},"sender_information":[1],"report_blocks_xr":"x","type":"200"}', b'{"report_blocks":NaN}',
        b'{"report_blocks":[{"ia_jitter":' + b"9" * 6_000 + b"}]}",
    ],
)  # fmt: skip
def test_json_that_is_none_is_none(payload: bytes) -> None:
    rtcp_json.reports(payload)
    assert is_report(payload)


VQ = f"""VQSessionReport: CallTerm
CallID: {CALL_ID}
LocalID: <sip:alice@atlanta.example.com>
RemoteID: <sip:bob@biloxi.example.com>
OrigID: <sip:alice@atlanta.example.com>
LocalMetrics:
SessionDesc:PT=18 PD=G729 SR=8000 FD=20 FO=20 FPP=2 PPS=50 PLC=3 SSUP=on
JitterBuffer:JBA=3 JBR=2 JBN=40 JBM=80 JBX=120
PacketLoss:NLR=5.0 JDR=2.0
Delay:RTD=200 ESD=140 SOWD=100 IAJ=2 MAJ=10
QualityEst:RLQ=90 RCQ=85 EXTRI=90 MOSLQ=4.3 MOSCQ=3.2 QoEEstAlg=P.564
RemoteMetrics:
PacketLoss:NLR=0.0 JDR=0.0
QualityEst:MOSLQ=4.4 MOSCQ=127
DialogID:{CALL_ID};to-tag=1;from-tag=2
"""  # RFC 6035 section 4.7


@pytest.mark.parametrize(
    "carrier", ["", "PUBLISH sip:collector@x SIP/2.0\r\nCall-ID: other\r\nContent-Type: application/vq-rtcpxr\r\n\r\n"]
)
def test_quality_reports_of_phones(carrier: str) -> None:
    told = directions(call(report(66, NAT, Endpoint("192.0.2.9", 5060), (carrier + VQ).encode())))
    assert told["dst>src"] == {
        "from": "dst", "to": "src", "codec": "PCMU", "packets": None, "lost": None, "loss": 0.05, "jitter_ms": 2.0,
        "jitter_max_ms": 2.0, "round_trip_ms": 200.0, "mos": 3.92, "mos_reported": 3.2,
    }  # fmt: skip
    assert told["src>dst"]["mos_reported"] == 4.4


def test_a_quality_report_among_the_messages_of_its_call() -> None:
    (packet,) = flow("66 alice > bob PUBLISH 9 Content-Type=application/vq-rtcpxr")
    packet = packet._replace(payload=packet.payload + VQ.encode())
    dialog = Dialog(CALL_ID)
    for each in [*flow(TALK), packet]:
        dialog.add(each, scan(each.payload))
    session = dialog.session()
    assert session is not None
    assert session.rtcp == (packet,)


def test_whose_a_quality_report_is_its_address_says() -> None:
    text = VQ.replace("OrigID", "X").replace(
        "LocalMetrics:", f"LocalAddr:IP={BOB.ip} PORT={BOB.port - 1} SSRC=1\nLocalMetrics:"
    )
    assert directions(call(report(66, NAT, NAT, text.encode())))["src>dst"]["mos_reported"] == 3.2
    nobody = VQ.replace("OrigID", "X")
    assert directions(call(report(66, NAT, NAT, nobody.encode()))) == {}


@given(
    st.binary(max_size=200),
    st.integers(0, 400),
    st.sampled_from([VQ.encode(), json.dumps(ASTERISK).encode(), extended(1)]),
)
def test_damaged_reports_raise_nothing(noise: bytes, place: int, whole: bytes) -> None:
    damaged = whole[:place] + noise + whole[place:]
    voice_reports.report(damaged)
    reports(damaged)
    measured(call(report(10, ALICE, BOB, damaged)))


@pytest.mark.parametrize(
    ("codec", "loss", "delay_ms", "r"),
    [
        ("PCMA", 0, 0, 93.2),  # G.107: everything at its default
        ("G729", 0, 0, 82.2),  # G.113: Ie 11
        ("pcmu", 0.01, 0, 89.56),
        ("G729", 0.02, 100, 74.2),
        ("PCMA", 0, 400, 69.13),
        ("whatever", 1, 10_000, 0.0),
    ],
)
def test_the_e_model(codec: str, loss: float, delay_ms: float, r: float) -> None:
    assert mos.rating(codec, loss, delay_ms) == pytest.approx(r, abs=0.05)


@pytest.mark.parametrize(
    ("codec", "loss", "tabled"),
    [
        ("G729", 0.02, 19),
        ("G729", 0.08, 36),
        ("G729", 0.16, 49),
        ("G723", 0.16, 55),
        ("GSM-EFR", 0.05, 33),
        ("PCMA", 0.1, 25),
    ],
)
def test_loss_costs_what_was_measured(codec: str, loss: float, tabled: float) -> None:
    """G.113 appendix I of 1999, tables I.2 and I.3: the formula was fitted to what listeners had said."""
    assert 93.2 - mos.rating(codec, loss, 0) == pytest.approx(tabled, abs=2.2)


def test_mos_by_rating() -> None:
    """G.107 annex B, table B.1."""
    assert [round(mos.of_rating(r), 2) for r in (0, 50, 60, 70, 80, 90, 100, 120)] == [
        1,
        2.58,
        3.1,
        3.6,
        4.02,
        4.34,
        4.5,
        4.5,
    ]


@given(st.text(max_size=9), st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1e6))
def test_mos_falls_with_loss_and_stays_within_its_scale(
    codec: str, loss: float, jitter_ms: float, trip_ms: float
) -> None:
    found = mos.mos(codec, loss, jitter_ms, trip_ms)
    assert 1 <= found <= 4.5
    assert mos.mos(codec, min(loss + 0.1, 1), jitter_ms, trip_ms) <= found


def test_a_trace_has_a_line_for_rtcp_in_any_form_and_a_quality_report_as_it_came() -> None:
    given = [
        report(1, ALICE, BOB, json.dumps(ASTERISK).encode()),
        report(2, ALICE, BOB, b"VQSessionReport\r\nA: 1\r\n"),
    ]
    first, second = "".join(trace.text(given)).split("\n\n")[:2]
    assert (
        "RTCP SR ssrc=0xfffffffb packets=500 octets=80000, of 0x0000000b fraction_lost=1.2% lost=4 jitter=40 {" in first
    )
    assert "\n" not in first
    assert second.endswith("\nVQSessionReport\r\nA: 1\r")


def test_a_ladder_has_reports_in_one_row_whatever_form_they_are_in() -> None:
    given = [
        report(10, ALICE, BOB, json.dumps(ASTERISK).encode()),
        report(11, ALICE, BOB, receiver_report(1, block(2))),
    ]
    outcomes = [step.outcome for step in ladder([*flow(TALK), *given]).steps]
    assert (outcomes.count(Outcome.REPORTS), Outcome.UNREADABLE in outcomes) == (1, False)
