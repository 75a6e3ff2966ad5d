"""Jobs around chats: those that nobody takes, those whose visitor has gone, and the mails."""

from ringback import mail
from ringback.jobs import queue
from ringback.record import time_text
from ringback.services import Services
from ringback.store import chats
from ringback.store.database import Db, first
from ringback.store.messages import OUTSIDE

WATCH, MISSED, TRANSCRIPT = "chat_watch", "missed_chat", "chat_transcript"
PATIENCE_S, ABSENT_S = 60, 600
"""A visitor waits so long for somebody; one who was not seen for so long has gone."""
LEFT_S = 75
"""An operator whose presence ran out so long ago, and who wrote nothing since, has gone."""
LOOK_S = 60
MOST_MAILED = 1_000
"""Messages of a chat that stand in a mail."""
CONTACT_S = 120
"""So long a visitor whom nobody answered has to say where an answer may go, before it is told by mail."""


def begin(db: Db, customer_id: int, chat_id: int, now: int, *, is_online: bool) -> None:
    if is_online:
        queue.enqueue(db, customer_id, WATCH, {"chat_id": chat_id}, now=now + PATIENCE_S)
    else:
        queue.enqueue(db, customer_id, MISSED, {"chat_id": chat_id}, now=now)


def enqueue_transcript(db: Db, customer_id: int, chat_id: int, email: str, now: int) -> None:
    queue.enqueue(db, customer_id, TRANSCRIPT, {"chat_id": chat_id, "to": email}, now=now)


def watch(services: Services, job: queue.Job) -> None:
    now = services.clock()
    if services.database.write(lambda db: _is_open(db, job.customer_id, job.args["chat_id"], now)):
        raise queue.Unfinished(now + LOOK_S)


def _is_open(db: Db, customer_id: int, chat_id: int, now: int) -> bool:
    """Ends what is to end; whether it goes on."""
    chat = chats.locked(db, customer_id, chat_id)
    if chat is None or chat.state not in chats.OPEN:
        return False
    seen_at = chat.seen_at or chat.created_at
    if chat.accepted_at is not None and seen_at > now - ABSENT_S:
        if chats.is_left(db, customer_id, chat, now - LEFT_S):
            chats.change(db, customer_id, chat, _WAITING)
        return True
    end(db, customer_id, chat, seen_at, now)
    return False


_WAITING = {
    "state": "WAITING",
    "operator_id": None,
    "operator_ua": None,
    "operator_typing_at": None,
    "accepted_at": None,
}


def end(db: Db, customer_id: int, chat: chats.Chat, at: int, now: int) -> None:
    """`chat`: one that is open; it lasted until `at`. What nobody took is missed, and told by mail a while later."""
    if chat.accepted_at is None:
        chats.change(db, customer_id, chat, {"state": "MISSED", "open_token": None})
        queue.enqueue(db, customer_id, MISSED, {"chat_id": chat.id}, now=now + CONTACT_S)
        return
    lasted = max(0, at - chat.accepted_at)
    chats.change(db, customer_id, chat, {"state": "ENDED", "open_token": None, "duration": lasted})


# -- mails

_MISSED = """{who} wrote on {website}, and nobody was there to answer.

    e-mail     {email}
    page       {page}
    at         {at} UTC

{text}

All chats: /chats
"""


def send_missed(services: Services, job: queue.Job) -> None:
    """Nothing where no address is set."""
    sql = """
        SELECT s.missed_mail, s.name, c.visitor_name, c.visitor_email, c.visitor_page, c.created_at FROM chats c
        JOIN callmeback_settings s ON s.customer_id = c.customer_id AND s.id = c.website_id
        WHERE c.customer_id = :customer AND c.id = :id AND s.missed_mail IS NOT NULL
    """
    bound = {"customer": job.customer_id, "id": job.args["chat_id"]}
    row = services.database.read(lambda db: first(db, sql, bound))
    if row is None or not mail.is_configured(services.settings):
        return
    to, website, name, email, page, at = row
    said = services.database.read(lambda db: chats.since(db, job.customer_id, job.args["chat_id"], 0, MOST_MAILED))
    told = {"who": name or "A visitor", "website": website, "email": email or "not left", "page": page or "not known"}
    text = "\n\n".join(each.message for each in said)
    mail.send(services.settings, to, "A chat was missed", _MISSED.format(**told, at=time_text(at), text=text))


def send_transcript(services: Services, job: queue.Job) -> None:
    """To the visitor who asked for it."""
    chat_id = job.args["chat_id"]
    said = services.database.read(lambda db: chats.since(db, job.customer_id, chat_id, 0, MOST_MAILED))
    if not said or not mail.is_configured(services.settings):
        return
    lines = (f"{_name(each)}, {time_text(each.created_at)} UTC\n{each.message}" for each in said)
    mail.send(services.settings, job.args["to"], "Our chat", "\n\n".join(lines) + "\n")


def _name(said: chats.Said) -> str:
    return said.from_name or ("Visitor" if said.from_id == OUTSIDE else "Operator")
