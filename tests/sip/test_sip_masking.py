"""What is masked at capture: digest responses and SRTP keys, and nothing else (RFC 7616, RFC 4568, RFC 4567)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.masking import masked
from ringback.sip.message import scan

HASH = "6629fae49393a05397450978507c4ef1"
KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"


def lines(*given: str) -> str:
    return "\r\n".join(["INVITE sip:bob@biloxi.example.com SIP/2.0", *given, "", ""])


def starred(text: str) -> str:
    """As it should come out: what stands between { and }."""
    return re.sub(r"\{([^}]*)\}", lambda found: re.sub(r"\S", "*", found[1]), text)


def bare(text: str) -> bytes:
    return text.replace("{", "").replace("}", "").encode()


CREDENTIALS = [
    'Authorization: Digest username="bob", realm="b", nonce="9f", uri="sip:b", response="{' + HASH + '}", cnonce="0a"',
    "Proxy-Authorization: Digest response={" + HASH + "}",
    "PROXY-AUTHORIZATION : DIGEST RESPONSE = {" + HASH + "} , nc=00000001",
    'authorization:Digest\r\n\tusername="bob",\r\n response\r\n =\r\n  "{' + HASH + '}",\r\n opaque="x"',
    'Authorization: Digest response="{' + HASH + '}", uri="a", Digest nonce="1", response="{abc}"',
    'Authorization: Digest username="a \\" response=x", response="{' + HASH + '}"',
    'Authorization: Digest username="response=\\"no\\", response=no", response="{' + HASH + '}"',
    'Authorization: Digest uri="sip:b?response=12", xresponse="12", response="{}"',
    'Authorization: Digest username="open, response="{' + HASH + '}", nonce="1"',
    "Authorization: Digest ==, response={'" + HASH + "'}",
    'Authorization: Digest nonce="1" response="{' + HASH + '}"',
    'Authorization: Digest nonce="1", response="{' + HASH + "}",
    "Authorization: Basic {Ym9iOnNlY3JldA==}",
    "Authorization: Bearer {abc.def, x=y}",
    'Authentication-Info: qop=auth, rspauth="{' + HASH + '}", nextnonce="1"',
    "Proxy-Authentication-Info: rspauth={" + HASH + "}",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{" + KEY + "}|2^20|1:4",
    "a=crypto:1 F8_128 inline:{" + KEY + "}|2^20|1:4;inline:{" + KEY + "} KDR=2 FEC_KEY=inline:{" + KEY + "}",
    "A=CRYPTO:2 X  Other:{" + KEY + "}",
    "a=crypto:inline: {" + KEY + ":1}",
    "a=key-mgmt:mikey {AQAFgM0XflABAAAAAAAAAAAAAAsAyO==}",
    "k=base64:{" + KEY + "}",
    "k=clear:{a b c}",
    "k=uri:{https://keys.example.com/1}",
]
HARMLESS = [
    'WWW-Authenticate: Digest realm="b", nonce="9f", response="x"',
    'X-Authorization: Digest response="x"',
    "Subject: Authorization: Digest response=x",
    "Authorization-Info: response=x",
    "k=prompt",
    "K: timer",
    "s=k=clear:x",
    "a=cryptography:1 x inline:x",
    "a=fingerprint:sha-1 4A:AD",
    "Authorization:",
    "Authorization: Digest",
]


@pytest.mark.parametrize("text", CREDENTIALS)
def test_secrets_become_stars_of_the_same_length(text: str) -> None:
    whole = lines(text, "Subject: response=x")
    assert masked(bare(whole)) == starred(whole).encode()
    inside = lines("Content-Type: message/sip", "", text)
    assert masked(bare(inside)) == starred(inside).encode()
    unix = whole.replace("\r\n", "\n")
    assert masked(bare(unix)) == starred(unix).encode()


@pytest.mark.parametrize("text", HARMLESS)
def test_nothing_else_is_touched(text: str) -> None:
    assert masked(bare(lines(text))) == bare(lines(text))


def test_the_message_reads_as_before() -> None:
    body = f"v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"
    raw = lines(
        "Call-ID: 1", "CSeq: 1 INVITE", f"Authorization: Digest response={HASH}", f"Content-Length: {len(body)}"
    )
    before, after = scan((raw + body).encode()), scan(masked((raw + body).encode()))
    assert after == before._replace(body=after.body)
    assert len(after.body) == len(before.body)


SCHEMES = st.sampled_from(["Digest", "digest", "DIGEST"])
NAMES = st.sampled_from(["Authorization", "proxy-authorization", "Authentication-Info"])
BLANKS = st.sampled_from(["", " ", "\t", "\r\n ", " \r\n\t"])
VALUES = st.text("abcdef0123456789", min_size=8, max_size=64)
QUOTED = st.text(st.characters(codec="ascii", exclude_characters='"\\\r\n\0'), max_size=30)


@st.composite
def headers(draw: st.DrawFn) -> tuple[str, str]:
    """A header as the grammar has it, with the response between braces that no value has; and its secret."""
    secret = "ZQ" + draw(VALUES)
    others = draw(st.lists(st.tuples(st.sampled_from(["username", "uri", "opaque", "nc"]), QUOTED), max_size=5))
    parameters = [f'{name}="{value}"' for name, value in others]
    quote = draw(st.sampled_from(['"', ""]))
    response = "".join([draw(st.sampled_from(["response", "Response"])), draw(BLANKS), "=", draw(BLANKS), quote])
    parameters.insert(draw(st.integers(0, len(parameters))), f"{response}\0{secret}\0{quote}")
    separator = draw(BLANKS) + "," + draw(BLANKS)
    return f"{draw(NAMES)}{draw(st.sampled_from([':', ' : ']))}{draw(SCHEMES)} {separator.join(parameters)}", secret


@given(headers(), headers())
def test_of_any_credentials_the_secret_goes_and_the_rest_stays(one: tuple[str, str], two: tuple[str, str]) -> None:
    marked = lines(one[0], "Call-ID: x", two[0])
    raw = marked.replace("\0", "")
    expected = re.sub("\0([^\0]*)\0", lambda found: "*" * len(found[1]), marked)
    assert masked(raw.encode()).decode() == expected


@given(st.binary(max_size=300), st.sampled_from(CREDENTIALS), st.data())
def test_whatever_comes_the_length_stays_and_masking_twice_is_masking_once(
    raw: bytes, text: str, data: st.DataObject
) -> None:
    message = bytearray(bare(lines(text)))
    place = data.draw(st.integers(0, len(message)))
    message[place:place] = raw
    once = masked(bytes(message))
    assert len(once) == len(message)
    assert all(after in (before, ord("*")) for before, after in zip(message, once, strict=True))
    assert masked(once) == once


@pytest.mark.parametrize(
    "hostile",
    [
        b"Authorization" + b" " * 60_000,
        b"Authorization: Digest " + b"response=" * 7_000,
        b"Authorization: Digest " + b'response="' * 6_000,
        b"Authorization: Digest " + b"\r\n a" * 15_000,
        b"Authorization: Digest " + b"a" * 60_000,
        b"\nAuthorization: Digest a" * 2_500,
        b"a=crypto:" + b"a-" * 30_000,
        b"a=crypto:" + b"a:" * 30_000,
        b"\na=key-mgmt:" * 5_000,
    ],
)
def test_hostile_headers_take_no_time(hostile: bytes) -> None:
    began = time.process_time()
    assert len(masked(hostile)) == len(hostile)
    assert time.process_time() - began < 1
