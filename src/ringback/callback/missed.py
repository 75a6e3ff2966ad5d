"""Callbacks that came to nothing, told by mail to whom the setting names."""

from ringback import mail
from ringback.jobs import queue
from ringback.record import time_text
from ringback.services import Services
from ringback.store.database import Db, first

KIND = "missed_callback"
_TEXT = """Somebody asked to be called back on {name}, and was not.

    number     +{number}
    asked at   {asked} UTC
    why not    {reason}

All requests: /callmeback/requests
"""


def enqueue(db: Db, customer_id: int, request_id: int, now: int) -> None:
    queue.enqueue(db, customer_id, KIND, {"request_id": request_id}, now=now)


def send(services: Services, job: queue.Job) -> None:
    """Nothing where no address is set."""
    sql = """
        SELECT s.missed_mail, s.name, r.number, r.created_at, r.reason FROM callmeback_requests r
        JOIN callmeback_settings s ON s.customer_id = r.customer_id AND s.id = r.setting_id
        WHERE r.customer_id = :customer AND r.id = :id AND r.stage = 'failed' AND s.missed_mail IS NOT NULL
    """
    bound = {"customer": job.customer_id, "id": job.args["request_id"]}
    row = services.database.read(lambda db: first(db, sql, bound))
    if row is not None and mail.is_configured(services.settings):
        to, name, number, asked, reason = row
        text = _TEXT.format(name=name, number=number, asked=time_text(asked), reason=reason)
        mail.send(services.settings, to, "A callback was missed", text)
