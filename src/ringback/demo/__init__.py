"""The demo: a made-up company with calls that a real Asterisk and real phones made (`data/README.md`)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ringback.calls.persons import Person
from ringback.demo import company, history, speech
from ringback.demo.operator import DemoFailed, Operator
from ringback.importers import Options, Progress
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.resources import ENDPOINTS
from ringback.services import Services
from ringback.store import rows, schema
from ringback.store.database import Db, value

DATA = Path(__file__).parent / "data"
FILES = {
    "rates": "rates.csv",
    "asterisk-cdr": "Master.csv",
    "recordings": "recordings",
    "voicemail": "voicemail",
    "pcap": "calls.pcap",
}
COMPLAINT = "Complaint of 22 November"
STRANGER = Person("number", "441632960999")  # a number for drama (Ofcom)
NOTE = "The customer brings the bicycle on Tuesday."


def fill(services: Services, customer_id: int, user_id: int, progress: Progress) -> None:
    """Fills the customer, as its administrator `user_id`. Done again, also after a crash, it adds only what is missing."""
    operator = Operator(services, ENDPOINTS, customer_id, user_id)
    try:
        users = company.found(operator)
        steps = _steps(operator, users)
        progress.start(len(steps), "steps")
        for step in steps:
            step()
            progress.advance(1)
    finally:
        operator.leave()


def _steps(operator: Operator, users: dict[str, int]) -> Sequence[Callable[[], None]]:
    imports = [partial(_import, operator, kind, DATA / name) for kind, name in FILES.items()]
    happened = partial(history.happened, operator.services, operator.customer_id, users)
    reviewed, voiced = partial(_reviewed, operator), partial(_voiced, operator, users)
    paid = partial(history.paid, operator.services, operator.customer_id)
    return (paid, *imports, happened, reviewed, voiced, partial(_kept, operator))


def _import(operator: Operator, kind: str, path: Path) -> None:
    options = Options(time_zone="UTC", country=company.COUNTRY)
    summary = IMPORTERS[kind].run(operator.services, operator.customer_id, path, options, Unwatched())
    if not summary.new + summary.known:
        raise DemoFailed(f"Nothing of {path.name} could be imported: {summary.refused}")


def _reviewed(operator: Operator) -> None:
    """Transcripts on the recordings, labels and a note on calls."""
    known = speech.transcripts(DATA)
    sql = """
        SELECT m.id, c.uniqueid FROM monitors m JOIN cdrs c ON c.customer_id = m.customer_id AND c.id = m.cdr_id
        WHERE m.customer_id = :customer AND m.transcript IS NULL
    """
    fresh = operator.services.database.read(lambda db: db.all(sql, {"customer": operator.customer_id}))
    for monitor_id, uniqueid in fresh:
        operator.change(f"/monitors/{monitor_id}", known.get(uniqueid, {}))
    operator.services.database.write(partial(_transcribed, operator.customer_id))
    missed = operator.all("/cdrs", ("type", "eq", "M"))
    operator.change("/cdrs", [{"id": cdr["id"], "labels": ["call back"]} for cdr in missed if not cdr["labels"]])
    talked = operator.all("/cdrs", ("type", "eq", "I"), ("disposition", "eq", "CONNECTED"))
    operator.once(f"/cdrs/{talked[-1]['id']}/notes", "text", {"text": NOTE})


def _transcribed(customer_id: int, db: Db) -> None:
    """The one voice message; no operation sets the transcript of one."""
    sql = "SELECT id FROM voicemessages WHERE customer_id = :customer AND transcript IS NULL"
    for (message_id,) in db.all(sql, {"customer": customer_id}):
        said = {"transcript": speech.TEXTS["message-for-erin"]}
        rows.update(db, schema.voicemessages, customer_id, message_id, said)


def _kept(operator: Operator) -> None:
    """A shared call, a legal hold, a person who was forgotten, and then an export: an erasure takes those there are."""
    sql = "SELECT min(cdr_id) FROM msdrs WHERE customer_id = :customer"
    captured = operator.services.database.read(lambda db: value(db, sql, {"customer": operator.customer_id}))
    if not operator.all("/shares"):
        operator.call("POST", f"/cdrs/{captured}/share", body=b"{}")
    (complaint, *_) = operator.all("/cdrs", ("type", "eq", "M"))
    operator.once("/holds", "reason", {"resource": "cdrs", "ids": [complaint["id"]], "reason": COMPLAINT})
    history.forgotten(operator.services, operator.customer_id, STRANGER)
    operator.once("/exports", "format", {"resource": "cdrs", "format": "csv"})


def _voiced(operator: Operator, users: dict[str, int]) -> None:
    """Alice's recorded name, for the company directory."""
    if not operator.call("GET", f"/users/{users['101']}/audio")["data"]["audio"]["custom"]:
        spoken = (DATA / "recordings" / "source" / "alice-listens.wav").read_bytes()
        operator.call("PUT", f"/users/{users['101']}/audio", body=spoken, media_type="audio/wav")
