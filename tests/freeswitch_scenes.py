"""Scenes at a FreeSWITCH: what happens in each, for `Switch` to tell."""

from collections.abc import Callable

from tests.freeswitch import Channel, Switch


def rung(switch: Switch, caller: Channel, number: str) -> Channel:
    """The phone that the caller's channel rings."""
    switch.executes(caller, "bridge", f"user/{number}@pbx.example.com")
    called = switch.calls(caller, number)
    switch.rings(called)
    return called


def ringing(switch: Switch) -> tuple[Channel, Channel]:
    """Ann rings Bob."""
    ann = switch.comes("101", "102", "Ann")
    return ann, rung(switch, ann, "102")


def answered(switch: Switch) -> tuple[Channel, Channel]:
    """They have talked for two seconds."""
    ann, bob = ringing(switch)
    switch.wait(1)
    switch.connects(ann, bob)
    switch.wait(2)
    return ann, bob


def end(switch: Switch, first: Channel, second: Channel, after_s: float = 0) -> None:
    """The first hangs up, so long after what was before."""
    switch.wait(after_s)
    switch.parts(first, second)
    switch.ends(first, how="recv_bye")
    switch.ends(second)


def answered_internal(switch: Switch) -> None:
    ann, bob = answered(switch)
    end(switch, ann, bob)


def busy(switch: Switch) -> None:
    not_reached(switch, "USER_BUSY", "recv_refuse")


def no_answer(switch: Switch) -> None:
    not_reached(switch, "NO_ANSWER", "send_cancel")


def rejected(switch: Switch) -> None:
    not_reached(switch, "CALL_REJECTED", "recv_refuse")


def not_reached(switch: Switch, cause: str, how: str) -> None:
    ann, bob = ringing(switch)
    switch.wait(3)
    switch.ends(bob, cause, how)
    switch.completes(ann, "bridge")
    switch.ends(ann, cause, "send_refuse")


def cancelled(switch: Switch) -> None:
    ann, bob = ringing(switch)
    switch.wait(3)
    switch.ends(bob, "ORIGINATOR_CANCEL", "send_cancel")
    switch.ends(ann, "ORIGINATOR_CANCEL", "recv_cancel")


def outbound(switch: Switch) -> None:
    ann = switch.comes("101", "02079460999", "Ann")
    switch.executes(ann, "bridge", "sofia/gateway/provider/02079460999")
    trunk = switch.calls(ann, "02079460999", "provider")
    switch.rings(trunk)
    switch.wait(2)
    switch.connects(ann, trunk)
    end(switch, trunk, ann, 4)


def ring_group(switch: Switch) -> None:
    ann = switch.comes("447700900123", "600", "Outside", "external")
    switch.executes(ann, "bridge", "user/102@pbx.example.com,user/103@pbx.example.com")
    bob, cid = switch.calls(ann, "102"), switch.calls(ann, "103")
    switch.rings(bob)
    switch.rings(cid)
    switch.wait(2)
    switch.answers(cid)
    switch.ends(bob, "LOSE_RACE", "send_cancel")
    switch.answers(ann)
    switch.bridges(ann, cid)
    end(switch, ann, cid, 3)


def on_hold(switch: Switch) -> None:
    ann, bob = answered(switch)
    switch.holds(bob)
    switch.wait(5)
    switch.resumes(bob)
    end(switch, bob, ann, 1)


def blind_transfer(switch: Switch) -> None:
    ann, bob = answered(switch)
    switch.parts(ann, bob)
    switch.sends(bob, "103")
    switch.executes(bob, "bridge", "user/103@pbx.example.com")
    switch.ends(ann, "BLIND_TRANSFER", "recv_bye")
    cid = switch.calls(bob, "103")
    switch.rings(cid)
    switch.wait(2)
    switch.answers(cid)
    switch.bridges(bob, cid)
    end(switch, cid, bob, 3)


def attended_transfer(switch: Switch) -> None:
    """Bob asks Cid on a second line, then joins Ann and Cid."""
    ann, bob = answered(switch)
    switch.holds(bob)
    asking = switch.comes("102", "103", "Bob")
    cid = rung(switch, asking, "103")
    switch.wait(1)
    switch.connects(asking, cid)
    switch.wait(2)
    switch.parts(ann, bob)
    switch.parts(asking, cid)
    switch.bridges(ann, cid)
    for line in (bob, asking):
        line.variables["endpoint_disposition"] = "ATTENDED_TRANSFER"
        switch.ends(line, "ATTENDED_TRANSFER", "recv_bye")
    end(switch, ann, cid, 3)


def queue(switch: Switch) -> None:
    """One agent does not answer, the other one does."""
    ann = switch.comes("447700900123", "700", "Outside", "external")
    switch.answers(ann)
    switch.executes(ann, "callcenter", "support@default")
    first = switch.calls(None, "102", cc_member_session_uuid=ann.uuid)
    switch.rings(first)
    switch.wait(4)
    switch.ends(first, "NO_ANSWER", "send_cancel")
    second = switch.calls(None, "103", cc_member_session_uuid=ann.uuid)
    switch.rings(second)
    switch.wait(2)
    switch.answers(second)
    switch.bridges(ann, second)
    end(switch, ann, second, 5)


def queue_abandoned(switch: Switch) -> None:
    ann = switch.comes("447700900123", "700", "Outside", "external")
    switch.answers(ann)
    switch.executes(ann, "callcenter", "support@default")
    switch.wait(9)
    switch.ends(ann, how="recv_bye")


def to_voicemail(switch: Switch) -> None:
    ann, bob = ringing(switch)
    switch.wait(10)
    switch.ends(bob, "NO_ANSWER", "send_cancel")
    switch.completes(ann, "bridge")
    switch.answers(ann)
    switch.executes(ann, "voicemail", "default pbx.example.com 102")
    switch.wait(8)
    switch.ends(ann, how="recv_bye")


def conference(switch: Switch) -> None:
    """Two who meet keep a call each."""
    there = [switch.comes("101", "3000", "Ann"), switch.comes("102", "3000", "Bob")]
    for one in there:
        switch.answers(one)
        switch.executes(one, "conference", "3000@default")
        switch.custom("conference::maintenance", Action="add-member", Unique_ID=one.uuid, Conference_Name="3000")
        switch.wait(3)
    for one in there:
        switch.custom("conference::maintenance", Action="del-member", Unique_ID=one.uuid, Conference_Name="3000")
        switch.ends(one, how="recv_bye")
        switch.wait(2)


def menu(switch: Switch) -> None:
    ann = switch.comes("447700900123", "5000", "Outside", "external")
    switch.answers(ann)
    switch.executes(ann, "ivr", "main_menu")
    switch.wait(4)
    switch.completes(ann, "ivr")
    bob = rung(switch, ann, "102")
    switch.wait(1)
    switch.answers(bob)
    switch.bridges(ann, bob)
    end(switch, bob, ann, 2)


def originated(switch: Switch) -> None:
    """The PBX rings Ann by an order; when she answers, it dials for her."""
    ann = switch.calls(None, "101")
    switch.rings(ann)
    switch.wait(2)
    switch.answers(ann)
    ann.dialled = "102"
    bob = rung(switch, ann, "102")
    switch.wait(1)
    switch.answers(bob)
    switch.bridges(ann, bob)
    end(switch, bob, ann, 3)


def loopback(switch: Switch) -> None:
    """Out of one half of a pair comes what went into the other."""
    ann = switch.comes("101", "600", "Ann")
    switch.executes(ann, "bridge", "loopback/102")
    a, b = switch.loopback(ann, "102")
    bob = rung(switch, b, "102")
    switch.wait(1)
    switch.connects(b, bob)
    switch.connects(ann, a)
    end(switch, ann, a, 3)
    end(switch, b, bob)


def parked(switch: Switch) -> None:
    """Bob parks Ann; Cid fetches her."""
    ann, bob = answered(switch)
    switch.parts(ann, bob)
    switch.sends(ann, "6001")
    switch.executes(ann, "valet_park", "lot 6001")
    switch.custom("valet_parking::info", Action="hold", Unique_ID=ann.uuid, Valet_Extension="6001")
    switch.ends(bob, "BLIND_TRANSFER", "recv_bye")
    switch.wait(5)
    cid = switch.comes("103", "6001", "Cid")
    switch.answers(cid)
    switch.executes(cid, "valet_park", "lot 6001")
    switch.bridges(cid, ann)
    end(switch, cid, ann, 3)


def intercepted(switch: Switch) -> None:
    """Cid takes the call that rings at Bob's."""
    ann, bob = ringing(switch)
    switch.wait(2)
    cid = switch.comes("103", "*8", "Cid")
    switch.executes(cid, "intercept", ann.uuid)
    switch.answers(cid)
    switch.answers(ann)
    switch.ends(bob, "PICKED_OFF", "send_cancel")
    switch.bridges(ann, cid)
    end(switch, ann, cid, 3)


def restarted(switch: Switch) -> None:
    """FreeSWITCH begins anew in the middle of a call."""
    answered(switch)
    again = Switch("9a3f0000-5648-47af-b339-3a3e9a31d55f")
    again.wait(60)
    again.custom("heartbeat")
    switch.events += again.events


SCENES: tuple[Callable[[Switch], None], ...] = (
    answered_internal,
    busy,
    no_answer,
    rejected,
    cancelled,
    outbound,
    ring_group,
    on_hold,
    blind_transfer,
    attended_transfer,
    queue,
    queue_abandoned,
    to_voicemail,
    conference,
    menu,
    originated,
    loopback,
    parked,
    intercepted,
    restarted,
)
