"""RTCP that an agent told as JSON, as the packet that it was."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.packet import is_rtcp
from ringback.sip.reports import rtcp, rtcp_json

ASTERISK = {
    "ssrc": 365076633,
    "type": 200,
    "report_count": 1,
    "sender_information": {
        "ntp_timestamp_sec": "1795344684",
        "ntp_timestamp_usec": "965147",
        "rtp_timestamp": 7840,
        "packets": 49,
        "octets": 7840,
    },
    "report_blocks": [
        {
            "source_ssrc": 675167057,
            "fraction_lost": 64,
            "packets_lost": -3,
            "highest_seq_no": 32231,
            "ia_jitter": 2,
            "lsr": "1202404136",
            "dlsr": 50987,
        }
    ],
}
FIELDS = [*ASTERISK, *ASTERISK["report_blocks"][0], *ASTERISK["sender_information"]]  # type: ignore[index, misc]


def test_both_forms_say_the_same() -> None:
    for told in (ASTERISK, {**ASTERISK, "type": 201, "sender_information": None}):
        payload = json.dumps(told).encode()
        sent = rtcp_json.on_the_wire(payload)
        assert sent is not None
        assert is_rtcp(sent)
        assert rtcp.reports(sent) == rtcp_json.reports(payload)


def test_what_is_no_report_stays_as_it_is() -> None:
    for payload in (
        b"{",
        b"{}",
        b"[]",
        b'{"report_blocks_xr":{"id":1}}',
        b'{"report_blocks":{"a":1}}',
        b'{"a":' * 30_000,
    ):
        assert rtcp_json.on_the_wire(payload) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda more: st.lists(more) | st.dictionaries(st.sampled_from(FIELDS), more),
    )
)
def test_any_object_is_a_packet_or_none(told: object) -> None:
    sent = rtcp_json.on_the_wire(json.dumps(told).encode())
    assert sent is None or is_rtcp(sent)
