"""Who calls whom (RFC 3261, 3323, 3325, 3966)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.dialogs import media_sessions
from ringback.sip.identities import addresses, caller, party_of
from ringback.sip.message import scan

from .sip_flows import flow


@pytest.mark.parametrize(
    ("uri", "party"),
    [
        ("sip:+44-20-7946-0123@h;user=phone", "442079460123"),
        ("sip:+44(20)7946.0123;isub=1@h;user=phone", "442079460123"),
        ("tel:+44-20-7946-0123", "442079460123"),
        ("TEL:+442079460123;ext=12", "442079460123"),
        ("tel:2079460123;phone-context=+44", "442079460123"),
        ("sip:2079460123;phone-context=+44@h;user=phone", "442079460123"),
        ("sip:2079460123:secret@h", "2079460123"),
        ("sip:2079460123;Phone-Context=+1@h", "12079460123"),
        ("tel:863-1234;phone-context=+1-914-555", "8631234"),  # RFC 3966 section 5.1.5: where it is valid
        ("tel:7042;phone-context=example.com", "7042"),
        ("tel:02079460123;phone-context=+44", "02079460123"),
        ("tel:+442079460123;phone-context=+1", "442079460123"),
        ("sip:alice@example.com", "alice"),
        ("sips:a%6Cice@example.com", "alice"),
        ("sip:*43@h", "*43"),
        ("sip:example.com", None),
        ("urn:service:sos", None),
        ("", None),
    ],
)
def test_a_uri_as_number_or_name(uri: str, party: str | None) -> None:
    assert party_of(uri) == party


HIDDEN = "From=Anonymous_<sip:anonymous@anonymous.invalid>;tag=9fxced76sl"


@pytest.mark.parametrize(
    ("words", "src"),
    [
        ("P-Asserted-Identity=<sip:alice@h>,_<tel:+442079460123>", "442079460123"),
        ("P-Asserted-Identity=<sip:alice@h>  P-Asserted-Identity=<tel:+442079460123>", "442079460123"),
        ("P-Asserted-Identity=<sip:alice@h>", "alice"),
        ('P-Asserted-Identity="A,_B;_<x>"_<sip:+1202@h>', "1202"),
        ("Remote-Party-ID=<sip:1001@h>;party=called,_<sip:1002@h>;party=calling", "1002"),
        ("Remote-Party-ID=<sip:1001@h>;party=called  Remote-Party-ID=<sip:1002@h>", "1002"),
        ("P-Asserted-Identity=<sip:h>  Remote-Party-ID=<sip:1002@h>", "1002"),
    ],
)
def test_who_calls(words: str, src: str) -> None:
    (packet,) = flow(f"0.0 alice > bob INVITE 1 {words}")
    assert caller(scan(packet.payload)) == src


def test_who_is_vouched_for_in_an_answer_is_who_is_called() -> None:
    (packet,) = flow("0.5 bob > alice 180/INVITE 1 P-Asserted-Identity=<tel:+442079460999>")
    assert caller(scan(packet.payload)) == "alice"


def anonymous(packet: bytes) -> bytes:
    return packet.replace(b"Alice <sip:alice@atlanta.example.com>", b"Anonymous <sip:anonymous@anonymous.invalid>")


def test_a_caller_who_hides_may_be_named_between_proxies() -> None:
    """RFC 3325 section 9.1: the copy of the phone says nothing, the proxy's says who it is."""
    packets = [
        each._replace(payload=anonymous(each.payload))
        for each in flow("""
            0.0  alice > proxy  INVITE  1  via=b0  Privacy=id
            0.1  alice > bob    INVITE  1  via=b1  Privacy=id  P-Asserted-Identity=<tel:+442079460123>
        """)
    ]  # fmt: skip
    assert media_sessions(packets[:1])[0].src == "anonymous"
    assert media_sessions(packets)[0].src == "442079460123"


def test_who_shows_a_number_outside_stays_the_extension_that_called() -> None:
    (session,) = media_sessions(
        flow("""
            0.0  alice > proxy  INVITE  1  via=b0
            0.1  alice > bob    INVITE  1  via=b1  P-Asserted-Identity=<tel:+442079460123>
        """)
    )  # fmt: skip
    assert session.src == "alice"


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    party_of(text)
    party_of(f"sip:{text}@h")
    list(addresses(text))
