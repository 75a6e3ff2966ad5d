"""What a visitor's page and the server say to each other through the socket, as JSON texts.

The page begins with `hello`, within ten seconds. `id` of `say` is the page's own: said again, it changes nothing. The server sends each
message once for each `hello`, those above `seen` of the chat that the page knows, and then how the chat stands.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MOST_BYTES = 16_384
MOST_TEXT, MOST_NAME = 4_000, 100
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_EMAIL = re.compile(r"[^\s\x00-\x1f\x7f@<>()\[\]\\,;:\"]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""Of a chat or a message: what a database can be asked for."""


class Hello(Struct, tag_field="do", tag="hello"):
    """`chat`, `seen`: what the page has, up to which number."""

    visitor: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00]*$")]
    chat: Number = 0
    seen: Number = 0


class Say(Struct, tag_field="do", tag="say"):
    """`salt`, `nonce`: the solved challenge, which the first message of a chat needs. `email`: where nobody is there."""

    id: str
    text: str
    name: str = ""
    email: str = ""
    salt: str = ""
    nonce: str = ""


class Typing(Struct, tag_field="do", tag="typing"):
    pass


class Mark(Struct, tag_field="do", tag="mark"):
    """Up to which numbers the operator's messages have arrived, and were read."""

    delivered: Number = 0
    read: Number = 0


class End(Struct, tag_field="do", tag="end"):
    pass


class Contact(Struct, tag_field="do", tag="contact"):
    """Where the visitor can be reached when nobody was there."""

    email: str


class Transcript(Struct, tag_field="do", tag="transcript"):
    email: str


Frame = Hello | Say | Typing | Mark | End | Contact | Transcript
_decode: Callable[[bytes], Frame] = msgspec.json.Decoder(Frame).decode
_encode = msgspec.json.Encoder().encode


def read(text: str) -> Frame | None:
    """None for what is no frame."""
    if len(text) > MOST_BYTES:
        return None
    try:
        return _decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def written(**frame: object) -> str:
    return _encode(frame).decode()


def cleaned(text: str, most: int = MOST_TEXT) -> str:
    """Without control characters but ends of lines; empty for nothing, and for what is too long."""
    plain = "".join(each for each in text if each == "\n" or unicodedata.category(each) not in ("Cc", "Cs"))
    plain = plain.strip()
    return plain if len(plain) <= most else ""


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def email_of(text: str) -> str | None:
    """None for what is no address that a mail can be sent to."""
    found = text.strip()
    is_plain = found.isprintable() and "=?" not in found  # an encoded word (RFC 2047) may hold more addresses
    return found if len(found) <= 254 and is_plain and _EMAIL.fullmatch(found) else None
