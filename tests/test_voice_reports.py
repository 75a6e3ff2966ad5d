"""Reports on media in the history, whatever form agents and phones send them in."""

import json

from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.sip.sip_flows import START_US, flow
from tests.test_captures import REPORT, talk

VQ = b"""VQSessionReport: CallTerm\r
CallID: one@pbx\r
LocalID: <sip:101@pbx>\r
OrigID: <sip:101@pbx>\r
LocalMetrics:\r
PacketLoss:NLR=5.0 JDR=2.0\r
QualityEst:MOSLQ=4.3 MOSCQ=3.2\r
"""
JSON = {
    "ssrc": 1,
    "type": 201,
    "report_blocks": [
        {"source_ssrc": 2, "packets_lost": 4, "ia_jitter": 80, "lsr": "0", "dlsr": 0, "highest_seq_no": 7}
    ],
}


def test_a_phone_that_publishes_how_it_heard(api: Api) -> None:
    (publish,) = flow("8.9 alice > bob PUBLISH 9 Content-Type=application/vq-rtcpxr", call_id="p@phone")
    publish = publish._replace(payload=publish.payload.replace(b"Content-Length: 0", b"X: y") + VQ)
    *early, bye, answer = talk()
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in [*early, publish, bye, answer]])
        settled(collector, 8)
        (msdr,) = api.admin.listed("/msdrs")
        assert [(each["from"], each["mos_reported"]) for each in msdr["quality"]["directions"]] == [("dst", 3.2)]
        # What comes late has the call read again, with all that is stored of it.
        send_tcp(collector, [hep(bye._replace(at_us=START_US + 1, payload=bye.payload.replace(b"BYE", b"INFO")))])
        settled(collector, 9)
    (again,) = api.admin.listed("/msdrs")
    assert again["quality"] == msdr["quality"]


def test_rtcp_as_json(api: Api) -> None:
    report = REPORT._replace(payload=json.dumps(JSON).encode())
    *early, bye, answer = talk()
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in early])
        send_tcp(collector, [hep(report, kind=5, correlation="one@pbx")])
        send_tcp(collector, [hep(each) for each in (bye, answer)])
        settled(collector, 7)
    (msdr,) = api.admin.listed("/msdrs")
    assert (msdr["quality"]["reports"], msdr["quality"]["lost"]) == (1, 4)
    (heard,) = msdr["quality"]["directions"]
    assert (heard["from"], heard["jitter_ms"], heard["codec"]) == ("dst", 10.0, "PCMU")
