"""Healthy calls of every sort, at random. Each is a scene (`tests/scenes.py`); a diagnosis must find nothing in any."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from ringback.sip.packet import Packet
from tests.scenes import scene

Sort = Callable[["Way"], str]
WAYS = (
    ("alice > bob", "bob > alice"),
    ("alice > p > bob", "bob > p > alice"),
    ("alice > p > q > bob", "bob > q > p > alice"),
)


class Way:
    """The hops between the two, and what is left to chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.forth, self.back = chance.choice(WAYS)
        self.proxy = "p" if "> p" in self.forth else ""
        self.at_s = 0.0
        self.rang = False
        self.codecs = ",".join(chance.sample(["PCMU", "PCMA", "G722", "opus"], chance.randint(1, 3)))
        self.codec = chance.choice(self.codecs.split(","))

    def later(self, least: float = 0.01, most: float = 0.4) -> str:
        self.at_s += self.chance.uniform(least, most)
        return f"{self.at_s:.3f}"

    # -- what most calls have in common -------------------------------------------------------------------------------

    def invite(self, n: int = 1, *words: str) -> str:
        lines = [f"{self.later()} {self.forth} INVITE {n} sdp:{self.codecs} {' '.join(words)}"]
        if self.proxy:
            lines.append(f"{self.later(0.001, 0.001)} {self.proxy} > alice 100/INVITE {n}")
        return self.lines(*lines)

    def rings(self, n: int = 1) -> str:
        self.rang = True
        return f"{self.later(0.1, 2)} {self.back} 180/INVITE {n}\n"

    def answers(self, n: int = 1, *words: str) -> str:
        return self.lines(
            f"{self.later(0.2, 20 if self.rang else 3)} {self.back} 200/INVITE {n} sdp:{self.codec} {' '.join(words)}",
            f"{self.later()} {self.forth} ACK {n}",
        )

    def refuses(self, status: int, n: int = 1, *words: str) -> str:
        lines = [f"{self.later()} {self.back} {status}/INVITE {n} {' '.join(words)}"]
        hops = self.forth.split(" > ")
        lines += [f"{self.later(0.001, 0.001)} {a} > {b} ACK {n}" for a, b in pairwise(hops)]
        return self.lines(*lines)

    def asks(self, method: str, n: int, *words: str, status: int = 200, back: bool = False) -> str:
        there, here = (self.back, self.forth) if back else (self.forth, self.back)
        return self.lines(
            f"{self.later()} {there} {method} {n} {' '.join(words)}", f"{self.later()} {here} {status}/{method} {n}"
        )

    def reinvites(self, n: int, offer: str, answer: str, *words: str) -> str:
        return self.lines(
            f"{self.later(1, 30)} {self.forth} INVITE {n} sdp:{self.codecs},{offer} {' '.join(words)}",
            f"{self.later()} {self.back} 200/INVITE {n} sdp:{self.codec},{answer} {' '.join(words)}",
            f"{self.later()} {self.forth} ACK {n}",
        )

    def hangs_up(self, n: int = 90) -> str:
        self.later(4, 300)
        return self.asks("BYE", n, self.chance.choice(("", "Reason=Q.850;cause=16")), back=self.chance.random() < 0.5)

    @staticmethod
    def lines(*lines: str) -> str:
        return "\n".join(lines) + "\n"


# -- the sorts ----------------------------------------------------------------------------------------------------------


def plain(way: Way) -> str:
    return way.invite() + way.rings() + way.answers() + way.hangs_up()


def forked(way: Way) -> str:
    """Three phones ring, one takes it; of the others one is cancelled, one was busy."""
    begin = way.lines(
        "0.0  alice > p  INVITE 1 sdp",
        "0.001 p > alice 100/INVITE 1",
        "0.01 p > bob INVITE 1 sdp retarget",
        "0.01 p > carol INVITE 1 sdp retarget",
        "0.01 p > dave INVITE 1 sdp retarget",
        "0.1  dave > p 486/INVITE 1",
        "0.1  p > dave ACK 1",
        "0.2  bob > p > alice 180/INVITE 1",
        "0.3  carol > p > alice 180/INVITE 1",
    )
    way.at_s = 0.3
    taken = way.later(1, 20)
    end = way.later(0.05, 0.1)
    return begin + way.lines(
        f"{taken} bob > p > alice 200/INVITE 1 sdp",
        f"{taken} p > carol CANCEL 1",
        f"{end} carol > p 200/CANCEL 1",
        f"{end} carol > p 487/INVITE 1",
        f"{end} p > carol ACK 1",
        f"{end} alice > p > bob ACK 1",
        f"{way.later(5, 60)} alice > p > bob BYE 2",
        f"{way.later()} bob > p > alice 200/BYE 2",
    )


def held(way: Way) -> str:
    quiet, heard = way.chance.choice((("sendonly", "recvonly"), ("inactive", "inactive"), ("sendonly", "inactive")))
    call = way.invite() + way.rings() + way.answers() + way.reinvites(2, quiet, heard)
    return call + way.reinvites(3, "sendrecv", "sendrecv") + way.hangs_up()


def held_the_old_way(way: Way) -> str:
    """RFC 2543: an address of zeros."""
    call = way.invite() + way.answers() + way.reinvites(2, "@0.0.0.0", "recvonly")
    return call + way.reinvites(3, "sendrecv", "sendrecv") + way.hangs_up()


def other_codec(way: Way) -> str:
    call = way.invite() + way.rings() + way.answers()
    way.codecs = way.codec = way.chance.choice(("PCMU", "PCMA", "G729"))
    return call + way.reinvites(2, "sendrecv", "sendrecv") + way.hangs_up()


def early_media(way: Way) -> str:
    call = way.invite() + f"{way.later(0.5, 3)} {way.back} 183/INVITE 1 sdp:{way.codec}\n"
    return call + way.answers() + way.hangs_up()


def early_offer_in_answer(way: Way) -> str:
    """The INVITE has no offer, the answer has, and the ACK answers it."""
    return way.lines(
        f"{way.later()} {way.forth} INVITE 1",
        f"{way.later()} {way.back} 180/INVITE 1",
        f"{way.later(1, 9)} {way.back} 200/INVITE 1 sdp:{way.codecs}",
        f"{way.later()} {way.forth} ACK 1 sdp:{way.codec}",
    ) + way.hangs_up()  # fmt: skip


def prack(way: Way) -> str:
    call = way.invite(1, "Supported=100rel")
    call += f"{way.later(0.5, 1)} {way.back} 183/INVITE 1 sdp:{way.codec} Require=100rel RSeq=11\n"
    call += way.asks("PRACK", 2, "RAck=11_1_INVITE")
    return call + way.answers() + way.hangs_up()


def update(way: Way) -> str:
    call = way.invite() + way.rings() + way.answers()
    change = way.asks("UPDATE", 2, f"sdp:{way.codecs}").replace("200/UPDATE 2", f"200/UPDATE 2 sdp:{way.codec}")
    return call + change + way.hangs_up()


def blind_transfer(way: Way) -> str:
    call = way.invite() + way.rings() + way.answers() + way.reinvites(2, "sendonly", "recvonly")
    call += way.asks("REFER", 3, "Refer-To=<sip:103@example.com>", status=202)
    call += way.asks("NOTIFY", 1, "Event=refer", "sipfrag=100_Trying", back=True)
    at = way.later()
    call += way.lines(
        f"{at} bob > carol INVITE 1 sdp leg=new",
        f"{way.later(1, 2)} carol > bob 180/INVITE 1 leg=new",
        f"{way.later(1, 2)} carol > bob 200/INVITE 1 sdp leg=new",
        f"{way.later()} bob > carol ACK 1 leg=new",
    )
    call += way.asks("NOTIFY", 2, "Event=refer", "sipfrag=200_OK", back=True) + way.asks("BYE", 4)
    way.later(5, 50)
    return call + way.lines(f"{way.later()} carol > bob BYE 1 leg=new", f"{way.later()} bob > carol 200/BYE 1 leg=new")


def attended_transfer(way: Way) -> str:
    """Alice holds Bob, asks Carol, and connects the two."""
    call = way.invite() + way.rings() + way.answers() + way.reinvites(2, "sendonly", "recvonly")
    call += way.lines(
        f"{way.later(1, 3)} alice > carol INVITE 1 sdp leg=ask",
        f"{way.later(1, 3)} carol > alice 200/INVITE 1 sdp leg=ask",
        f"{way.later()} alice > carol ACK 1 leg=ask",
        f"{way.later(2, 9)} alice > carol INVITE 2 sdp:sendonly leg=ask",
        f"{way.later()} carol > alice 200/INVITE 2 sdp:recvonly leg=ask",
        f"{way.later()} alice > carol ACK 2 leg=ask",
    )
    call += way.asks("REFER", 3, "Refer-To=<sip:103@example.com?Replaces=ask%40example.com>", status=202)
    call += way.lines(
        f"{way.later()} bob > carol INVITE 1 sdp leg=new Replaces=ask@example.com;to-tag=carol-ask;from-tag=alice-ask",
        f"{way.later()} carol > bob 200/INVITE 1 sdp leg=new",
        f"{way.later()} bob > carol ACK 1 leg=new",
        f"{way.later()} carol > alice BYE 1 leg=ask",
        f"{way.later()} alice > carol 200/BYE 1 leg=ask",
    )
    call += way.asks("NOTIFY", 1, "Event=refer", "sipfrag=200_OK", back=True) + way.asks("BYE", 4)
    way.later(5, 50)
    return call + way.lines(f"{way.later()} bob > carol BYE 2 leg=new", f"{way.later()} carol > bob 200/BYE 2 leg=new")


def cancelled(way: Way) -> str:
    call = way.invite() + way.rings()
    way.later(1, 60)
    hops = way.forth.split(" > ")
    for a, b in pairwise(hops):
        call += way.lines(
            f"{way.later(0.001, 0.01)} {a} > {b} CANCEL 1", f"{way.later(0.001, 0.01)} {b} > {a} 200/CANCEL 1"
        )
    return call + way.refuses(487)


def busy(way: Way) -> str:
    return way.invite() + way.refuses(way.chance.choice((486, 600)))


def declined(way: Way) -> str:
    return way.invite() + way.rings() + way.refuses(way.chance.choice((603, 486, 480)))


def nobody_there(way: Way) -> str:
    call = way.invite() + way.rings()
    way.later(20, 60)
    return call + way.refuses(way.chance.choice((480, 408)))


def authenticated(way: Way) -> str:
    """Once per request: the INVITE and the BYE."""
    challenge = 'WWW-Authenticate=Digest_realm="pbx",nonce="{}"'
    given = 'Authorization=Digest_username="101",realm="pbx",nonce="{}",uri="sip:x",response="00"'
    call = way.invite() + way.refuses(401, 1, challenge.format("n1"))
    call += way.invite(2, given.format("n1")) + way.rings(2) + way.answers(2)
    way.later(4, 60)
    call += way.asks("BYE", 3, status=401).replace("401/BYE 3", f"401/BYE 3 {challenge.format('n2')}")
    return call + way.asks("BYE", 4, given.format("n2"))


def cached_nonce(way: Way) -> str:
    """A nonce of an earlier call has run out, whether the challenge says so or not."""
    stale = way.chance.choice(("", ",stale=true"))
    challenge = 'Proxy-Authenticate=Digest_realm="pbx",nonce="new"' + stale
    given = 'Proxy-Authorization=Digest_username="101",realm="pbx",nonce="{}",response="00"'
    call = way.invite(1, given.format("old")) + way.refuses(407, 1, challenge)
    return call + way.invite(2, given.format("new")) + way.rings(2) + way.answers(2) + way.hangs_up()


def sent_twice(way: Way) -> str:
    """Any one message may be lost."""
    lines = plain(way).splitlines()
    chosen = way.chance.choice([place for place, line in enumerate(lines) if "100/" not in line and "ACK" not in line])
    if "INVITE 1" in lines[chosen] and "/" not in lines[chosen].split("INVITE")[0]:
        lines = [line for line in lines if "100/" not in line]
    lines[chosen] += " x2"
    return way.lines(*lines)


def timed(way: Way) -> str:
    timer = "Session-Expires=120;refresher=uac"
    call = way.invite(1, "Session-Expires=120", "Supported=timer") + way.rings() + way.answers(1, timer)
    for n in range(2, way.chance.randint(3, 6)):
        way.at_s += 60
        if way.chance.random() < 0.5:
            call += way.asks("UPDATE", n, timer).replace(f"200/UPDATE {n}", f"200/UPDATE {n} {timer}")
        else:
            call += way.reinvites(n, "sendrecv", "sendrecv", timer)
    way.at_s += 5
    return call + way.asks("BYE", 90)


def too_short_a_timer(way: Way) -> str:
    call = way.invite(1, "Session-Expires=60") + way.refuses(422, 1, "Min-SE=90")
    call += way.invite(2, "Session-Expires=90", "Min-SE=90") + way.answers(2, "Session-Expires=90;refresher=uas")
    way.at_s += 20
    return call + way.asks("BYE", 3)


def heard(way: Way) -> str:
    """RTCP in both directions, with a bad interval now and then."""
    call = way.invite() + way.rings() + way.answers()
    begin_s = way.at_s
    for n in range(1, way.chance.randint(3, 12)):
        for names in ("alice ~ bob", "bob ~ alice"):
            lost = way.chance.choice((0.0, 0.0, 0.0, 0.01, 0.03))
            call += f"{begin_s + 5 * n + way.chance.random():.3f} {names} RTCP sent={250 * n} lost={lost}\n"
        way.at_s = begin_s + 5 * n + 1
    return call + way.hangs_up()


def heard_and_held(way: Way) -> str:
    """While it is held nobody sends, and the reports go on."""
    call = way.invite() + way.answers()
    begin_s = way.at_s
    for n in (1, 2):
        call += "".join(
            f"{begin_s + 5 * n:.3f} {who} RTCP sent={250 * n} lost=0.0\n" for who in ("alice ~ bob", "bob ~ alice")
        )
    way.at_s = begin_s + 11
    call += way.reinvites(2, "inactive", "inactive")
    held_s = way.at_s
    for n in range(1, 6):
        call += "".join(f"{held_s + 5 * n:.3f} {who} RTCP sent=550\n" for who in ("alice ~ bob", "bob ~ alice"))
    way.at_s = held_s + 26
    return call + way.reinvites(3, "sendrecv", "sendrecv") + way.hangs_up()


def relayed(way: Way) -> str:
    """Alice is behind NAT: the proxy answers where the call came from, and a relay takes the media."""
    return way.lines(
        "0.0 alice > p INVITE 1 sdp:@192.168.178.20",
        "0.001 p > alice 100/INVITE 1 received=198.51.100.11",
        "0.01 p > bob INVITE 1 sdp:@192.0.2.50",
        "1.0 bob > p 180/INVITE 1",
        "1.001 p > alice 180/INVITE 1 received=198.51.100.11",
        "3.0 bob > p 200/INVITE 1 sdp",
        "3.001 p > alice 200/INVITE 1 sdp:@192.0.2.50 received=198.51.100.11",
        "3.1 alice > p > bob ACK 1",
        f"{way.chance.uniform(9, 99):.3f} alice > p > bob BYE 2",
        "100.0 bob > p > alice 200/BYE 2",
    )


def through_a_pbx(way: Way) -> str:
    """Two legs; the PBX may talk with itself about hold."""
    del way.proxy
    return way.lines(
        "0.0 alice > pbx INVITE 1 sdp leg=a",
        "0.01 pbx > alice 100/INVITE 1 leg=a",
        "0.02 pbx > p > bob INVITE 1 sdp leg=b as=101",
        "0.5 bob > p > pbx 180/INVITE 1 leg=b",
        "0.51 pbx > alice 180/INVITE 1 leg=a",
        "4.0 bob > p > pbx 200/INVITE 1 sdp leg=b",
        "4.01 pbx > p > bob ACK 1 leg=b",
        "4.02 pbx > alice 200/INVITE 1 sdp leg=a",
        "4.1 alice > pbx ACK 1 leg=a",
        f"{way.chance.uniform(8, 99):.3f} alice > pbx BYE 2 leg=a",
        "100.0 pbx > alice 200/BYE 2 leg=a",
        "100.0 pbx > p > bob BYE 2 leg=b",
        "100.1 bob > p > pbx 200/BYE 2 leg=b",
    )


def through_proxy_and_pbx(way: Way) -> str:
    """The proxy hands the call to the PBX, which hands it back for the other phone."""
    return through_a_pbx(way).replace("alice > pbx", "alice > p > pbx").replace("pbx > alice", "pbx > p > alice")


def hunted(way: Way) -> str:
    """A ring group: one phone is offline, one does not answer, the third does."""
    del way.proxy
    return way.lines(
        "0.0 alice > pbx INVITE 1 sdp leg=a",
        "0.01 pbx > alice 180/INVITE 1 leg=a",
        "0.1 pbx > bob INVITE 1 sdp leg=b",
        "0.2 bob > pbx 480/INVITE 1 leg=b",
        "0.2 pbx > bob ACK 1 leg=b",
        "0.1 pbx > carol INVITE 1 sdp leg=c",
        "0.4 carol > pbx 180/INVITE 1 leg=c",
        "9.0 pbx > carol CANCEL 1 leg=c",
        "9.1 carol > pbx 200/CANCEL 1 leg=c",
        "9.1 carol > pbx 487/INVITE 1 leg=c",
        "9.1 pbx > carol ACK 1 leg=c",
        "9.2 pbx > dave INVITE 1 sdp leg=d",
        "9.4 dave > pbx 180/INVITE 1 leg=d",
        "12.0 dave > pbx 200/INVITE 1 sdp leg=d",
        "12.0 pbx > dave ACK 1 leg=d",
        "12.1 pbx > alice 200/INVITE 1 sdp leg=a",
        "12.2 alice > pbx ACK 1 leg=a",
        "60.0 dave > pbx BYE 1 leg=d",
        "60.1 pbx > dave 200/BYE 1 leg=d",
        "60.1 pbx > alice BYE 1 leg=a",
        "60.2 alice > pbx 200/BYE 1 leg=a",
    )


def redirected(way: Way) -> str:
    call = way.invite() + way.refuses(302, 1, "Contact=<sip:103@example.com>")
    return call + way.invite(2) + way.rings(2) + way.answers(2) + way.hangs_up()


def glare(way: Way) -> str:
    call = way.invite() + way.answers()
    call += way.lines(f"{way.later(1, 9)} {way.forth} INVITE 2 sdp:sendonly", f"{way.later()} {way.back} 491/INVITE 2")
    hops = way.forth.split(" > ")
    call += way.lines(*(f"{way.later(0.001, 0.001)} {a} > {b} ACK 2" for a, b in pairwise(hops)))
    return call + way.reinvites(3, "sendrecv", "sendrecv") + way.hangs_up()


def fax(way: Way) -> str:
    call = way.invite() + way.answers()
    return call + way.reinvites(2, "port0,image", "port0,image") + way.hangs_up()


def kept_alive(way: Way) -> str:
    call = way.invite() + way.rings() + way.answers()
    call += way.asks("OPTIONS", 2, status=way.chance.choice((200, 404, 481)))
    return call + way.asks("INFO", 3) + way.hangs_up()


def still_on(way: Way) -> str:
    """Seen while it lasts."""
    call = (way.invite() + way.rings() + way.answers()).splitlines()
    return way.lines(*call[: way.chance.randint(1, len(call))])


SORTS: tuple[Sort, ...] = (
    plain, forked, held, held_the_old_way, other_codec, early_media, early_offer_in_answer, prack, update,
    blind_transfer, attended_transfer, cancelled, busy, declined, nobody_there, authenticated, cached_nonce, sent_twice,
    timed, too_short_a_timer, heard, heard_and_held, relayed, through_a_pbx, through_proxy_and_pbx, hunted, redirected,
    glare, fax, kept_alive, still_on,
)  # fmt: skip
V6 = {name: f"2001:db8::{number}" for number, name in enumerate(("alice", "bob", "carol", "dave", "p", "q", "pbx"), 1)}


class Healthy(NamedTuple):
    name: str
    table: str
    packets: list[Packet]


def healthy(number: int) -> Healthy:
    """The call of this number: all sorts in turn, each time otherwise."""
    sort = SORTS[number % len(SORTS)]
    chance = random.Random(number)
    table = sort(Way(chance))
    transport = "UDP" if sort is sent_twice else chance.choice(("UDP", "UDP", "TCP", "TLS"))
    addresses = V6 if chance.random() < 0.25 and sort is not relayed else {}
    return Healthy(f"{number}-{sort.__name__}", table, scene(table, transport, **addresses))
