"""The one thread of a process that brings visitors what is new in their chats.

It looks when the database wakes it, and once a second besides. What a page gets comes from here alone, in the order of numbers, so that
nothing is lost and nothing comes twice, whichever process it was written by.
"""

import time
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter

import structlog

from ringback.chat import frames
from ringback.chat.sockets import HELLO_S, SILENT, STOPPED, Socket
from ringback.errors import RingbackError
from ringback.metrics import Metrics
from ringback.rounds import Rounds
from ringback.services import Services
from ringback.store import chats
from ringback.store.chats import Chat, Said
from ringback.store.database import Db
from ringback.store.messages import OUTSIDE

log = structlog.get_logger()

POLL_S, PAUSE_S, SEEN_S = 1.0, 0.05, 60.0
TYPING_S = 6
LOT = 25
"""So many messages are put to a page at a time; the next when it has taken them."""


class ChatReader:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._seen_at = 0.0
        self._rounds = Rounds("chats", self.step, POLL_S, PAUSE_S, services.database.listen)
        services.chats.on_change = self._rounds.wake

    def show(self, metrics: Metrics) -> None:
        sockets = self._services.chats
        metrics.levels("ringback_chat_sockets", "Open chats of visitors", "state", sockets.states)
        metrics.counted(
            "ringback_chat_refusals", "Sockets and messages that were refused", "reason", lambda: sockets.refusals
        )

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self._services.chats.end(STOPPED)
        self._rounds.stop()

    def step(self) -> None:
        """Everything that is committed now is put to everybody who is here now."""
        here = self._services.chats.all()
        if self._services.stopping.is_set():
            self._services.chats.end(STOPPED)
        for each in here:
            if not each.token and time.monotonic() > each.began + HELLO_S:
                each.end(SILENT)
        known = sorted((each for each in here if each.token), key=attrgetter("customer_id"))
        is_due = time.monotonic() > self._seen_at + SEEN_S
        for customer_id, group in groupby(known, key=attrgetter("customer_id")):
            try:
                self._turn(customer_id, list(group), is_due)
            except RingbackError:
                raise
            except Exception:  # of one customer; the others are served all the same
                log.exception("chats of a customer were not served", customer=customer_id)
        if is_due:
            self._seen_at = time.monotonic()

    def _turn(self, customer_id: int, theirs: list[Socket], is_due: bool) -> None:
        serve = partial(_serve, customer_id=customer_id, theirs=theirs, now=self._now())
        if self._services.database.read(serve):
            self._rounds.wake()
        if is_due:
            tokens = sorted({each.token for each in theirs})
            seen = partial(chats.seen, customer_id=customer_id, tokens=tokens, now=self._now())
            self._services.database.write(seen, at_once=False)

    def _now(self) -> int:
        return self._services.clock()


def _serve(db: Db, customer_id: int, theirs: Sequence[Socket], now: int) -> bool:
    """Whether there is more for somebody."""
    found = chats.latest_of(db, customer_id, sorted({each.token for each in theirs}))
    is_all = True
    for socket in theirs:
        chat = found.get(socket.token)
        if chat is None:
            _without(socket)
        elif (chat.id, chat.revision) != (socket.chat_id, socket.revision) and not socket.is_behind():
            _bring(db, customer_id, socket, chat, now)
            is_all = is_all and socket.revision == chat.revision
    return not is_all


def _without(socket: Socket) -> None:
    if socket.revision < 0:
        socket.revision = 0
        socket.put([frames.written(**{"is": "chat"}, id=0, state=None, online=socket.is_online)])


def _bring(db: Db, customer_id: int, socket: Socket, chat: Chat, now: int) -> None:
    """What the page does not have, and how it stands."""
    cursor = socket.cursor if socket.chat_id == chat.id else 0
    said = chats.since(db, customer_id, chat.id, cursor, LOT)
    is_all = len(said) < LOT
    socket.put([*(_message(chat.id, each) for each in said), _state(db, customer_id, socket, chat, now)])
    socket.chat_id, socket.revision, socket.state = chat.id, chat.revision if is_all else -1, chat.state
    socket.cursor = said[-1].number if said else cursor


def _message(chat_id: int, said: Said) -> str:
    side = "visitor" if said.from_id == OUTSIDE else "operator"
    told = {
        "is": "message",
        "chat": chat_id,
        "number": said.number,
        "from": side,
        "id": said.client_id if side == "visitor" else None,
    }
    name = said.from_name if side == "operator" else None
    return frames.written(**told, name=name, text=said.message, at=said.created_at)


def _state(db: Db, customer_id: int, socket: Socket, chat: Chat, now: int) -> str:
    delivered, read = chats.marks(db, customer_id, chat.id)
    return frames.written(
        **{"is": "chat"},
        id=chat.id,
        state=chat.state,
        online=socket.is_online,
        typing=chat.operator_typing_at is not None and chat.operator_typing_at > now - TYPING_S,
        delivered=delivered,
        read=read,
        has_email=chat.visitor_email is not None,
        can_mail=socket.has_mail and chat.accepted_at is not None,
    )
