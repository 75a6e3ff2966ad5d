"""SIP messages as they come off the wire."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.sip.message import Address, CSeq, address, scan, user_of
from ringback.sip.packet import is_rtcp

INVITE = b"""INVITE sip:bob@biloxi.example.com SIP/2.0\r
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9\r
Max-Forwards: 70\r
From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r
To: Bob <sip:bob@biloxi.example.com>\r
Call-ID: 3848276298220188511@atlanta.example.com\r
CSeq: 1 INVITE\r
Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r
Content-Type: application/sdp\r
Content-Length: 5\r
\r
v=0\r
"""
"""RFC 3665 section 3.1, F1, with a shorter body."""

MANDATORY = b"Via: SIP/2.0/UDP h;branch=b\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"


def test_a_request() -> None:
    message = scan(INVITE)
    assert not message.malformed
    assert (message.is_request, message.method, message.request_uri) == (True, "INVITE", "sip:bob@biloxi.example.com")
    assert message.call_id == "3848276298220188511@atlanta.example.com"
    assert message.cseq == CSeq(1, "INVITE")
    assert message.from_ == Address("Alice", "sip:alice@atlanta.example.com", "alice", "9fxced76sl")
    assert message.to == Address("Bob", "sip:bob@biloxi.example.com", "bob", "")
    assert message.contact.uri == "sip:alice@client.atlanta.example.com;transport=tcp"
    assert message.branch == "z9hG4bK74bf9"
    assert message.body == b"v=0\r\n"


def test_a_response_has_the_method_of_its_cseq() -> None:
    message = scan(b"SIP/2.0 486 Busy Here\r\n" + MANDATORY + b"Server: PBX 1\r\nContent-Length: 0\r\n\r\n")
    assert not message.malformed
    assert (message.is_request, message.status, message.reason_phrase) == (False, 486, "Busy Here")
    assert (message.method, message.server) == ("INVITE", "PBX 1")


def test_a_reason_phrase_may_be_empty() -> None:
    assert scan(b"SIP/2.0 200 \r\n" + MANDATORY + b"\r\n").status == 200
    assert scan(b"SIP/2.0 200\r\n" + MANDATORY + b"\r\n").status == 200


def test_compact_folded_spaced_and_bare_line_feeds() -> None:
    """RFC 3261 sections 7.3.1 and 7.3.3, and what RFC 4475 section 3.1.1.1 makes of them."""
    raw = (
        b'INVITE sip:b@h SIP/2.0\nv: SIP/2.0/UDP h ; branch = z9\nf  :\n "A\n\tB" <sip:a@h>\n ;tag=1\nt: <sip:b@h>\n'
        b"CALL-ID  :x\ni: second\ncseq: 0009\n  INVITE\nm: <sip:a@h2>\nc: application/sdp\nl: 3\n\nv=0beyond"
    )
    message = scan(raw)
    assert not message.malformed
    assert (message.call_id, message.cseq, message.branch) == ("x", CSeq(9, "INVITE"), "z9")
    assert message.from_ == Address("A B", "sip:a@h", "a", "1")
    assert message.body == b"v=0"


def test_latin_1_beside_utf_8() -> None:
    message = scan(b'INVITE sip:b@h SIP/2.0\r\nFrom: "M\xfcller" <sip:a@h>;tag=1\r\nTo: "Zo\xc3\xab" <sip:b@h>\r\n\r\n')
    assert (message.from_.display_name, message.to.display_name) == ("Müller", "Zoë")


def test_line_ends_before_a_message_are_skipped() -> None:
    """RFC 3261 section 7.5."""
    assert scan(b"\r\n\r\n" + INVITE) == scan(INVITE)


def test_the_topmost_via_names_the_transaction() -> None:
    vias = b"Via: SIP/2.0/UDP p;branch=top, SIP/2.0/UDP h;branch=low\r\nVia: SIP/2.0/UDP g;branch=lower\r\n"
    assert scan(b"BYE sip:b@h SIP/2.0\r\n" + vias + b"\r\n").branch == "top"
    assert scan(b"BYE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP p, SIP/2.0/UDP h;branch=low\r\n\r\n").branch == ""


def test_all_reasons_are_kept() -> None:
    reasons = b"Reason: SIP;cause=480\r\nReason: Q.850;cause=19\r\n"
    assert scan(b"BYE sip:b@h SIP/2.0\r\n" + reasons + b"\r\n").reason == "SIP;cause=480, Q.850;cause=19"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"\x80\xc8\x00\x06" + bytes(24),
        INVITE.replace(b"SIP/2.0", b"HTTP/1.1", 1),
        INVITE.replace(b"\r\n\r\nv=0\r\n", b"\r\n"),
        INVITE.replace(b"Call-ID", b"Call"),
        INVITE.replace(b"CSeq: 1 INVITE", b"CSeq: one INVITE"),
        INVITE.replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        INVITE.replace(b"Max-Forwards: 70", b"Max-Forwards 70"),
        INVITE.replace(b"Length: 5", b"Length: 50"),
        INVITE.replace(b"Length: 5", b"Length: -5"),
        INVITE.replace(b"INVITE sip:bob@", b"INVITE sip:bob @"),
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_malformed(raw: bytes) -> None:
    assert scan(raw).malformed


def test_a_malformed_message_still_tells_its_call() -> None:
    message = scan(INVITE.replace(b"SIP/2.0", b"", 1).replace(b"Max-Forwards: 70", b"\0nonsense"))
    assert (message.call_id, message.from_.tag) == ("3848276298220188511@atlanta.example.com", "9fxced76sl")


@given(st.binary(max_size=300) | st.builds(lambda a, b, at: INVITE[:at] + a + INVITE[at + b :], st.binary(max_size=9),
       st.integers(0, 20), st.integers(0, len(INVITE))))  # fmt: skip
@example(b"SIP/2.0 200\xc2\xb2 x\r\nCSeq: \xc2\xb2 x\r\nl: \xc2\xb2\r\n\r\n")
@example(b"SIP/2.0 200 x\r\nCSeq: " + b"9" * 5000 + b" x\r\nl: " + b"9" * 5000 + b"\r\n\r\n")
def test_any_bytes_are_scanned(raw: bytes) -> None:
    message = scan(raw)
    assert isinstance(message.contact.uri + message.branch, str)
    assert (message.from_.tag, message.to.tag) == (message.from_tag, message.to_tag)
    assert "\0" not in "".join(field for field in message if isinstance(field, str))
    assert isinstance(is_rtcp(raw), bool)


@pytest.mark.parametrize("blank", [b" ", b"\t "])
def test_a_start_line_of_blanks_is_read_at_once(blank: bytes) -> None:
    """One datagram of an outsider must not keep everybody else waiting."""
    raw = b"INVITE sip:a" + blank * (60_000 // len(blank)) + b"b\r\nCall-ID: one@pbx\r\n\r\n"
    began = time.process_time()
    found = scan(raw)
    assert time.process_time() - began < 2
    assert (found.call_id, found.malformed) == ("one@pbx", True)


def test_blanks_within_a_request_line() -> None:
    found = scan(b"INVITE   sip:a b  c   SIP/2.0\r\n\r\n")
    assert (found.method, found.request_uri) == ("INVITE", "sip:a b  c")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ('"Bob >;tag=no" <sip:bob@b.com>;tag=yes', "yes"),
        ("Bob <sip:bob;tag=no@b.com>", ""),
        ("<sip:bob;tag=no@b.com", ""),
        ("sip:bob@b.com;tag=yes", "yes"),
        ("sip:bob@b.com", ""),
    ],
)
def test_a_tag_is_a_parameter_of_the_header_alone(text: str, tag: str) -> None:
    message = scan(INVITE.replace(b"Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl", text.encode()))
    assert message.from_text == text
    assert (message.from_tag, message.from_.tag) == (tag, tag)


@given(st.text(' "\\<>;=tag', max_size=40))
def test_a_tag_is_the_same_whichever_way_it_is_asked_for(text: str) -> None:
    message = scan(b"BYE sip:a@b SIP/2.0\r\nTo: " + text.encode() + b"\r\n\r\n")
    assert message.to_tag == message.to.tag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<sip:bob@b.com>", Address("", "sip:bob@b.com", "bob", "")),
        ("sip:bob@b.com;tag=x", Address("", "sip:bob@b.com", "bob", "x")),
        ("<sip:bob@b.com;tag=inside>", Address("", "sip:bob@b.com;tag=inside", "bob", "")),
        (r'"A \"B\" <C>, D" <sip:a@h> ;TAG = q', Address('A "B" <C>, D', "sip:a@h", "a", "q")),
        ("Anonymous <sip:anonymous@anonymous.invalid>", Address("Anonymous", "sip:anonymous@anonymous.invalid", "anonymous", "")),
        ('"unclosed <sip:a@h>', Address('"unclosed', "sip:a@h", "a", "")),
        ("<tel:+1-201-555-0123;phone-context=x>", Address("", "tel:+1-201-555-0123;phone-context=x", "+1-201-555-0123", "")),
        ("<sip:a@h>, <sip:b@h>;tag=second", Address("", "sip:a@h", "a", "second")),
        ("", Address("", "", "", "")),
    ],
)  # fmt: skip
def test_addresses(text: str, expected: Address) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:alice:secret@h", "alice"),
        ("sips:%2B1201@h;user=phone", "+1201"),
        ("sip:+1201;npdi;rn=5@h", "+1201"),
        ("sip:h:5060", ""),
        ("urn:service:sos", ""),
        ("", ""),
    ],
)
def test_user_parts(uri: str, user: str) -> None:
    assert user_of(uri) == user


def test_what_is_rtcp() -> None:
    report = bytes.fromhex("80c90001 00000001") + bytes.fromhex("81ca0003 00000001 01036162 63000000")
    assert is_rtcp(report)
    assert not is_rtcp(report + b"srtcp trailer.")
    assert not is_rtcp(bytes.fromhex("8000000100000001") + bytes(8))
    assert not is_rtcp(INVITE)
    assert not is_rtcp(b"")
