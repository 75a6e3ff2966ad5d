"""Voicemail of a connected Asterisk: messages of its spool are voice messages here, and the folders follow each other.

AMI says when a mailbox has changed (MessageWaiting); a slow look finds the rest. A phone that listens to a mailbox (VoiceMailMain) keeps
the numbers of its messages in memory until it leaves: meanwhile nothing is changed there, and nothing believed gone.
"""

import queue
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import structlog

from ringback.calls import mailboxes, numbers
from ringback.calls.mailboxes import INBOX, URGENT
from ringback.connectors.asterisk import ami, mailbox
from ringback.connectors.asterisk.folders import lock_mode
from ringback.connectors.asterisk.listeners import Listeners
from ringback.connectors.asterisk.mailbox import Busy, Message, Spool
from ringback.connectors.asterisk.session import Session
from ringback.connectors.asterisk.worker import Worker
from ringback.connectors.folder import Folder, Look
from ringback.connectors.link import Lost
from ringback.connectors.mailbox_sync import Step, decide
from ringback.connectors.settings import Connector
from ringback.errors import RingbackError
from ringback.importers import voicemail
from ringback.importers.importer import Unusable
from ringback.jobs import encode
from ringback.media.audio import content_hash
from ringback.services import Services
from ringback.store import accounts, spooled
from ringback.store.database import Db, value
from ringback.store.spooled import SHELF, Spooled

log = structlog.get_logger()

LOOK_S, SURE_S, USERS_S = 10.0, 1.0, 30.0
MOST_AT_ONCE, MOST_CHANGED = 1_000, 10_000
"""`SURE_S`: so long a message must be gone, or twice there, before that is believed. `MOST_CHANGED`: words of AMI that wait; what
comes beyond them the slow look finds."""


class Owner(NamedTuple):
    customer_id: int
    user_id: int


class Known(NamedTuple):
    """What a message is, whatever number and folder it has."""

    source_key: str
    origtime: int
    callerid: str
    exten: str


class Voicemail:
    """A part of a connection. Only its own thread touches the spool."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self._services, self._connector = services, connector
        self._spool = Spool(Folder(Path(connector.voicemail)))
        self._listeners = Listeners()
        self._session: Session | None = None
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._worker = Worker(f"voicemail-{connector.name}", self._step, self._tell)
        self._due: set[str] = set()
        self._seen: dict[str, tuple[tuple[str, int], ...]] = {}
        self._known: dict[str, dict[tuple[Look, Look], Known]] = {}
        self._doubtful: dict[str, float] = {}
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._owners: dict[str, tuple[float, Owner | None]] = {}
        self._again: dict[str, float] = {}
        self._has_shifted, self._locks = False, "lockfile"
        self._look_at = 0.0
        self._told: set[str] = set()

    # -- the part

    def connected(self, session: Session) -> None:
        self._listeners.begin(session.listed("CoreShowChannels"))
        self._locks = lock_mode(session)
        self._session = session
        self._worker.start()
        self._worker.wake()

    def heard(self, message: ami.Message) -> None:
        if message.get("Event") == "MessageWaiting":
            place = mailbox.named(message.get("Mailbox", ""))
            if place is not None and self._changed.qsize() < MOST_CHANGED:
                self._changed.put(place)
                self._worker.wake()
        elif self._listeners.heard(message):
            self._worker.wake()

    def lost(self) -> None:
        self._session = None
        self._listeners.end()

    def stop(self) -> None:
        self._worker.stop()

    # -- the thread

    def _tell(self, text: str) -> None:
        """Once."""
        if text not in self._told and len(self._told) < 1_000:
            self._told.add(text)
            log.warning(text, pbx=self._connector.name)

    def _step(self) -> None:
        while not self._changed.empty():
            place = self._changed.get()
            if self._spool.changed(place):  # else it is none, or has no folder yet
                self._due.add(place)
        if self._session is None:
            return
        if time.monotonic() >= self._look_at:
            self._look()
            self._look_at = time.monotonic() + LOOK_S
        self._moved_here()
        for place in sorted(self._due):
            if not self._worker.stopping.is_set() and time.monotonic() >= self._again.get(place, 0.0):
                self._try(place)

    def _look(self) -> None:
        """Mailboxes that have changed without a word of AMI."""
        for place in self._spool.mailboxes():
            if place not in self._seen:
                self._spool.unlock_ours(place)
            changed = self._spool.changed(place)
            if self._seen.get(place) != changed:
                self._due.add(place)

    def _moved_here(self) -> None:
        pbx = self._connector.name
        for customer_id in sorted(self._connector.customers()):
            fresh = self._services.database.read(partial(spooled.change_numbers, customer_id=customer_id))
            if self._numbers.get(customer_id) != fresh:
                self._due |= self._services.database.read(partial(spooled.moved, customer_id=customer_id, pbx=pbx))
                self._numbers[customer_id] = fresh

    def _try(self, place: str) -> None:
        """A mailbox that is not done with stays due. A change in the spool gives other messages other numbers: it is read again."""
        try:
            for _ in range(MOST_AT_ONCE):
                changed, self._has_shifted = self._spool.changed(place), False
                if self._settled(place):
                    self._due.discard(place)
                    self._seen[place] = changed
                if not self._has_shifted:
                    return
        except Busy:
            pass
        except OSError as error:
            self._again[place] = time.monotonic() + LOOK_S
            self._tell(f"the mailbox {place} waits: {error.strerror or error}")
        except RingbackError:
            raise  # the database is away: the others wait too
        except Exception:
            self._again[place] = time.monotonic() + LOOK_S
            log.exception("a mailbox was not understood", pbx=self._connector.name, place=place)

    def _settled(self, place: str) -> bool:
        owner = self._owner(place)
        if owner is None:
            self._again[place] = time.monotonic() + USERS_S
            return False
        found = self._found(place, owner)
        known = self._read(owner.customer_id, place)
        for key, messages in found.items():
            if key not in known:
                self._take(place, owner, key, messages[0])
        if self._listeners.any_at(place) or self._session is None:  # in this order: `lost` goes the other way
            return False
        folders = {name for name, _ in self._spool.changed(place)}
        is_done = True
        for key, each in known.items():
            is_done &= self._agree(place, each, found.get(key, []), folders)
            if self._has_shifted:
                return False
        return is_done

    def _read(self, customer_id: int, place: str) -> dict[str, Spooled]:
        pbx = self._connector.name
        found = self._services.database.read(lambda db: spooled.of_place(db, customer_id, pbx, place))
        return {each.source_key: each for each in found}

    def _owner(self, place: str) -> Owner | None:
        """Whose mailbox it is, as it was a moment ago."""
        until, found = self._owners.get(place, (0.0, None))
        if time.monotonic() >= until:
            found = self._owner_now(*place.split("/", 1))
            self._owners[place] = time.monotonic() + USERS_S, found
        return found

    def _owner_now(self, context: str, name: str) -> Owner | None:
        named = self._connector.mailbox_owner(context, name)
        if named is None:
            return None
        sql = "SELECT id FROM users WHERE customer_id = :customer AND ext = :ext"
        bound = {"customer": named[0], "ext": named[1]}
        user_id = self._services.database.read(lambda db: value(db, sql, bound))
        return None if user_id is None else Owner(named[0], user_id)

    # -- messages

    def _found(self, place: str, owner: Owner) -> dict[str, list[Message]]:
        """Messages by their source keys. Busy."""
        found: dict[str, list[Message]] = defaultdict(list)
        before, now = self._known.get(place, {}), {}
        for messages in self._spool.read(place).values():
            for each in messages:
                looks = each.text_look, each.audio_look
                try:
                    now[looks] = before.get(looks) or self._identified(each, owner)
                    found[now[looks].source_key].append(each)
                except Unusable as fault:
                    self._tell(f"{each.text}: {fault}")
        self._known[place] = now
        return found

    def _identified(self, message: Message, owner: Owner) -> Known:
        with TemporaryDirectory(prefix="ringback-") as folder:
            text, audio = self._copied(message, Path(folder))
            envelope = voicemail.read_envelope(text)
            at = voicemail.origtime(envelope)
            row = {"extension_id": owner.user_id, "origtime": at}
            key = mailboxes.source_key(row, content_hash(audio))
        return Known(key, at, envelope.get("callerid", ""), envelope.get("exten", ""))

    def _copied(self, message: Message, folder: Path) -> tuple[Path, Path]:
        """Busy where it was changed meanwhile."""
        text, audio = folder / "msg.txt", folder / f"msg{Path(message.audio).suffix.lower()}"
        try:
            looks = self._spool.files.copy(message.text, text), self._spool.files.copy(message.audio, audio)
        except FileNotFoundError:
            raise Busy from None
        if looks != (message.text_look, message.audio_look):
            raise Busy
        return text, audio

    def _take(self, place: str, owner: Owner, key: str, message: Message) -> None:
        """One that is new in the spool; it may have been imported before."""
        known = self._known[place][message.text_look, message.audio_look]
        country = self._services.database.read(lambda db: accounts.country_of(db, owner.customer_id))
        row = mailboxes.message(
            owner.user_id,
            known.callerid,
            known.exten,
            folder=_named(message.folder),
            origtime=known.origtime,
            country=country,
        )
        with TemporaryDirectory(prefix="ringback-") as folder:
            _, audio = self._copied(message, Path(folder))
            name = numbers.clean(message.audio)
            encode.take_in(self._services, owner.customer_id, SHELF, audio, name, {**row, "source_key": key})
        pbx = self._connector.name
        add = partial(spooled.add, customer_id=owner.customer_id, pbx=pbx, source_key=key, place=place)
        self._services.database.write(partial(add, folder=message.folder))
        self._numbers.pop(owner.customer_id, None)

    # -- both sides

    def _agree(self, place: str, known: Spooled, found: list[Message], folders: set[str]) -> bool:
        """Whether there is nothing left to do, as far as one message is concerned."""
        if len(found) > 1:
            return self._doubled(place, known, found)
        if not found and (known.folder not in folders or not self._is_sure(known.source_key)):
            return known.folder not in folders
        if found:
            self._doubtful.pop(known.source_key, None)
        return self._agreed(place, known, found[0] if found else None)

    def _is_sure(self, key: str) -> bool:
        since = self._doubtful.setdefault(key, time.monotonic())
        return time.monotonic() - since >= SURE_S

    def _doubled(self, place: str, known: Spooled, found: list[Message]) -> bool:
        """A process was killed as it moved it: it stays where it is wanted."""
        if self._is_sure(known.source_key):
            wanted = [known.here, known.folder]
            kept = min(found, key=lambda each: wanted.index(each.folder) if each.folder in wanted else len(wanted))
            for each in found:
                if each is not kept:
                    self._change(place, each, "")
                    break
        return False

    def _agreed(self, place: str, known: Spooled, message: Message | None) -> bool:
        customer_id, key = self._customer(place), known.source_key
        if known.message_id is None and not known.was_here:
            if not known.is_entry:  # an administrator has removed it from the inbox, to have it tried again
                self._forget(customer_id, key)
            return known.is_entry
        if not known.was_here:
            self._note(customer_id, key, was_here=1)
        do = decide(known.folder, message.folder if message else None, known.here)
        if do.step is Step.MOVE_HERE:
            self._put(customer_id, known, _named(do.folder))
        elif do.step in (Step.MOVE_THERE, Step.REMOVE_THERE):
            assert message is not None, "what is gone is neither moved nor removed"
            self._change(place, message, do.folder)
        if message is None or do.step in (Step.REMOVE_THERE, Step.FORGET):
            self._forget(customer_id, key)
        elif do.step is not Step.NOTHING:
            self._note(customer_id, key, folder=do.folder)
        self._doubtful.pop(key, None)
        return do.step is not Step.FORGET or message is None

    def _customer(self, place: str) -> int:
        owner = self._owner(place)
        assert owner is not None, "messages of nobody are not taken"
        return owner.customer_id

    def _note(self, customer_id: int, key: str, **changes: str | int) -> None:
        pbx = self._connector.name
        self._services.database.write(
            partial(spooled.agree, customer_id=customer_id, pbx=pbx, source_key=key, changes=changes)
        )

    def _forget(self, customer_id: int, key: str) -> None:
        pbx = self._connector.name
        self._services.database.write(partial(spooled.forget, customer_id=customer_id, pbx=pbx, source_key=key))

    def _put(self, customer_id: int, known: Spooled, folder: mailboxes.Folder) -> None:
        is_new = folder in (INBOX, URGENT)

        def work(db: Db) -> bool:
            return spooled.put(db, customer_id, known, folder, is_new=is_new)

        if not self._services.database.write(work):
            raise Busy

    def _change(self, place: str, message: Message, folder: str) -> None:
        """In the spool; without a folder it goes. Phones are told."""
        if self._locks != "lockfile":
            raise OSError(f"its folders are locked by {self._locks} (asterisk.conf), and not changed from here")
        self._has_shifted = True
        if folder:
            self._spool.move(place, message, folder)
        else:
            self._spool.remove(place, message)
        self._refresh(place)

    def _refresh(self, place: str) -> None:
        context, _, name = place.partition("/")
        session = self._session
        if session is not None:
            try:
                session.send("VoicemailRefresh", ("Context", context), ("Mailbox", name))
            except Lost as error:
                self._tell(f"phones are not told of moved messages: {error}")


def _named(folder: str) -> mailboxes.Folder:
    return next(name for name in mailboxes.FOLDERS if name == folder)
