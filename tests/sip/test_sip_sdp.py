"""Session descriptions as far as they say where media go."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip import sdp
from ringback.sip.packet import Endpoint

LINES = ("v=0", "c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1", "c=", "c", " c=IN IP4 192.0.2.2 ", "m=audio 4000 RTP/AVP 8 0",
         "m=audio 0 RTP/AVP 8", "m=video 4002/2 RTP/AVP 96", "m=", "m", "a=sendonly", "a=rtcp:4009", "x")  # fmt: skip


def test_media_go_where_their_own_line_says_else_that_of_the_session() -> None:
    body = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 96\r\nc=IN IP4 192.0.2.9\r\n"
    assert sdp.rtp_ends(body) == [Endpoint("192.0.2.1", 4000), Endpoint("192.0.2.9", 4002)]


@given(st.lists(st.sampled_from(LINES)))
def test_the_short_way_gives_what_the_long_one_does(lines: list[str]) -> None:
    body = "\r\n".join(lines).encode()
    assert sdp.rtp_ends(body) == [each.rtp for each in sdp.media(body)]
