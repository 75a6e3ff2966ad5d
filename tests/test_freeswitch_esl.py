"""The language of the event socket: bytes into messages, commands into bytes."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.connectors.freeswitch import esl
from ringback.connectors.freeswitch.events import Translator
from tests.freeswitch import Switch, transcript
from tests.freeswitch_scenes import answered_internal


@given(st.data())
def test_the_codec_takes_bytes_in_any_portions(data: st.DataObject) -> None:
    switch = Switch()
    answered_internal(switch)
    text = b"Content-Type: auth/request\n\n" + transcript(switch.events[:3])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    decoder = esl.Decoder()
    found = [each for a, b in pairwise([0, *cuts, len(text)]) for each in decoder.feed(text[a:b])]
    assert found == esl.Decoder().feed(text)
    assert [each.kind for each in found] == ["auth/request", *["text/event-plain"] * 3]


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_too_long(data: bytes) -> None:
    translator = Translator()
    with suppress(esl.TooLong):
        for message in esl.Decoder().feed(data + b"\n\n"):
            translator.events(esl.event(message.body), 0)


@pytest.mark.parametrize("length", ["99999999999", "-1", "x", "\u0663", str(esl.BODY_LIMIT_BYTES + 1)])
def test_a_length_that_lies_ends_the_connection(length: str) -> None:
    with pytest.raises(esl.TooLong):
        esl.Decoder().feed(f"Content-Length: {length}\n\n".encode())


def test_a_head_without_an_end_is_too_long() -> None:
    decoder = esl.Decoder()
    decoder.feed(b"x" * esl.HEAD_LIMIT_BYTES)
    with pytest.raises(esl.TooLong):
        decoder.feed(b"x")


@pytest.mark.parametrize("word", ["a\nb", "a\r", "\0", "x" * 5_000])
def test_no_command_hides_another(word: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        esl.command("api", word)
