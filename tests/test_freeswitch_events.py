"""Calls through a FreeSWITCH: what its event socket tells, and the hops that must come of it.

The transcripts are made by its documented events (`tests/freeswitch.py`); no running FreeSWITCH was at hand.
"""

import re
from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from ringback.calls.events import Event, Started
from ringback.calls.ledger import Ledger
from ringback.connectors.freeswitch import esl
from ringback.connectors.freeswitch.events import Translator
from tests.freeswitch import Switch, transcript
from tests.freeswitch_scenes import SCENES, answered_internal
from tests.ledger.tables import folded, told

_ID = re.compile(r"0{1,7}(\d+)-0000-4000-8000-0{12}")


def events(switch: Switch) -> list[Event]:
    translator = Translator()
    messages = esl.Decoder().feed(transcript(switch.events))
    return [event for each in messages for event in translator.events(esl.event(each.body), 0)]


def hops(switch: Switch) -> str:
    """With short ids, and without what the signalling says."""
    lines = told(folded(events(switch))).splitlines()
    short = (_ID.sub(r"\1", line.partition(" | src_")[0].partition(" | dst_")[0]) for line in lines)
    return dedent("\n".join(short))


EXPECTED: Mapping[str, str] = {
    "answered_internal": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 3.0 answered 1.0, talk 2.0 s human
    """,
    "busy": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 17, 0.0 to 3.0, talk 0.0 s
    """,
    "no_answer": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 19, 0.0 to 3.0, talk 0.0 s
    """,
    "rejected": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 21, 0.0 to 3.0, talk 0.0 s
    """,
    "cancelled": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 16, 0.0 to 3.0, talk 0.0 s
    """,
    "outbound": """
          Ann <101> at 101 -> 02079460999 at provider on 1: PSTN_CALL CONNECTED 16, 0.0 to 6.0 answered 2.0, talk 4.0 s human
    """,
    "ring_group": """
          Outside <447700900123> at external -> 600 on 1: RG-600 CONNECTED 16, 0.0 to 5.0 answered 2.0, talk 3.0 s human
            Outside <447700900123> at external -> 102 at 102 on 2: PSTN_CALL RINGING 26, 0.0 to 2.0, talk 0.0 s human member
            Outside <447700900123> at external -> 103 at 103 on 3: PSTN_CALL CONNECTED 16, 0.0 to 5.0 answered 2.0, talk 3.0 s human member
    """,
    "on_hold": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 9.0 answered 1.0, talk 8.0 s human
    """,
    "blind_transfer": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 3.0 answered 1.0, talk 2.0 s human
            102 at 102 -> 103 at 103 on 4: PSTN_CALL CONNECTED 16, 3.0 to 8.0 answered 5.0, talk 3.0 s human payer 101 | transferred by 101
    """,
    "attended_transfer": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 6.0 answered 1.0, talk 5.0 s human
            Bob <102> at 102 -> 103 at 103 on 4: PSTN_CALL CONNECTED 16, 3.0 to 6.0 answered 4.0, talk 2.0 s human
            Ann <101> at 101 -> 103 at 103 on 4: PSTN_CALL CONNECTED 16, 6.0 to 9.0 answered 6.0, talk 3.0 s human payer 102 | transferred by 102
    """,
    "queue": """
          Outside <447700900123> at external -> 700 on 1: QUEUE CONNECTED 16, 0.0 to 11.0 answered 6.0, talk 5.0 s human | waited 6 s
            Outside <447700900123> at external -> 102 at 102 on 2: PSTN_CALL RINGING 19, 0.0 to 4.0, talk 0.0 s member
            Outside <447700900123> at external -> 103 at 103 on 3: PSTN_CALL CONNECTED 16, 4.0 to 11.0 answered 6.0, talk 5.0 s human member
    """,
    "queue_abandoned": """
          Outside <447700900123> at external -> 700 on 1: QUEUE RINGING 18, 0.0 to 9.0, talk 0.0 s | waited 9 s
    """,
    "to_voicemail": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 19, 0.0 to 10.0, talk 0.0 s
            Ann <101> at 101 -> 102 on 1: VOICEMAIL VM 16, 10.0 to 18.0 answered 10.0, talk 8.0 s
    """,
    "conference": """
          Ann <101> at 101 -> 3000 on 1: CONFERENCE CONNECTED 16, 0.0 to 6.0 answered 0.0, talk 6.0 s human
          Bob <102> at 102 -> 3000 on 2: CONFERENCE CONNECTED 16, 0.0 to 8.0 answered 3.0, talk 5.0 s human
    """,
    "menu": """
          Outside <447700900123> at external -> 5000 on 1: IVR CONNECTED 16, 0.0 to 4.0 answered 0.0, talk 4.0 s human
            Outside <447700900123> at external -> 102 at 102 on 2: PSTN_CALL CONNECTED 16, 4.0 to 7.0 answered 5.0, talk 2.0 s human
    """,
    "originated": """
          101 at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 6.0 answered 3.0, talk 3.0 s human
    """,
    "loopback": """
          Ann <101> at 101 -> 600 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 4.0 answered 1.0, talk 3.0 s human
    """,
    "parked": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 3.0 answered 1.0, talk 2.0 s human | parked
            Ann <101> at 101 -> 103 at 103 on 4: PSTN_CALL CONNECTED 16, 8.0 to 11.0 answered 8.0, talk 3.0 s human payer 102 | transferred by 102
    """,
    "intercepted": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL RINGING 26, 0.0 to 2.0, talk 0.0 s human
            Ann <101> at 101 -> 103 at 103 on 3: PSTN_CALL CONNECTED 16, 2.0 to 5.0 answered 2.0, talk 3.0 s human
    """,
    "restarted": """
          Ann <101> at 101 -> 102 at 102 on 1: PSTN_CALL CONNECTED 16, 0.0 to 1.0 answered 1.0, talk 0.0 s human | incomplete: the PBX was restarted
    """,
}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_hops(scene: Callable[[Switch], None]) -> None:
    switch = Switch()
    scene(switch)
    assert hops(switch) == dedent(EXPECTED[scene.__name__]).strip()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_told_twice_is_told_once(scene: Callable[[Switch], None]) -> None:
    switch = Switch()
    scene(switch)
    ledger, once = Ledger(), events(switch)
    left = [call for event in [*once, *once] for call in ledger.take(event)]
    assert len({call.id for call in left}) == len(left) == len(folded(once))


def test_signalling_and_codecs_are_kept() -> None:
    switch = Switch()
    answered_internal(switch)
    line = told(folded(events(switch)))
    assert "src_codec=PCMA src_call_id=00000001@10.0.0.9 dst_codec=PCMA dst_call_id=00000002@10.0.0.9" in line
    assert "never to be kept" not in line


def test_who_has_not_logged_in_is_nobody_of_ours() -> None:
    """A caller from outside may say that he is 101; his endpoint is the way that he came."""
    switch = Switch()
    ann = switch.comes("101", "102", "Ann?", "external")
    switch.ends(ann, how="recv_bye")
    assert hops(switch).lstrip().startswith("Ann? <101> at external -> 102")


def test_a_name_with_anything_in_it_is_text() -> None:
    switch = Switch()
    name = 'x"\r\nEvent-Name: CHANNEL_DESTROY\n\n%0a<script>\u2028é'
    switch.ends(switch.comes("101", "102", name), how="recv_bye")
    started = next(event.fact for event in events(switch) if isinstance(event.fact, Started))
    assert started.caller_name == name
