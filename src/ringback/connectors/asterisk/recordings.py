"""Recordings that an Asterisk puts into a folder which is here, too: taken once each, when nobody writes them any more, and linked to
the call that they are of.

What MixMonitor says ties a file to a channel (`mixmonitor.py`); when the channel's call is over, the book says whose it is and
which of its hops was recorded. A file that nothing was said of, because nobody listened, is looked up by the id in its name.
"""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import structlog

from ringback.calls import numbers
from ringback.calls.ledger import Call, hops
from ringback.calls.ledger.recorded import hop_of
from ringback.connectors.asterisk import marks
from ringback.connectors.asterisk.ami import Message
from ringback.connectors.asterisk.mixmonitor import VARIABLE, Arguments, Recording
from ringback.connectors.asterisk.recorded_files import RecordedFiles, Source
from ringback.connectors.asterisk.session import Session
from ringback.connectors.asterisk.worker import Worker
from ringback.connectors.folder import Folder, Look
from ringback.connectors.link import Refused
from ringback.connectors.recording_notes import FORTNIGHT_NS, Notes, Owner
from ringback.connectors.settings import Connector
from ringback.connectors.wire import waited
from ringback.importers import ledger_rows
from ringback.importers.recording_facts import uniqueids
from ringback.rounds import attempt
from ringback.services import Services

log = structlog.get_logger()

LOOK_S, REMOVE_S = 5.0, 2.0
STILL_S, UNTOLD_STILL_S = 0.3, 5.0
"""So long nobody has written a file whose end was told, or was not."""
UNSTORED_S, MISSING_S, AGAIN_S = 30.0, 3_600.0, 30.0
MOST_CHANNELS, MOST_UP = 5_000, 20_000
"""Channels that are asked about as the connection begins, and that are known to be up: more than an Asterisk has."""


class Up(NamedTuple):
    """The channels that are up as the connection begins, and what of them is being recorded that nothing was told of."""

    channels: set[str]
    recordings: list[Recording]


class Ended(NamedTuple):
    channel: str
    at_us: int


class Owned(NamedTuple):
    """The call of these recordings is over."""

    owners: list[tuple[Recording, Owner]]
    over_us: int


Item = Recording | Ended | Owned | Up


class Recordings:
    """A part of a connection. `over` is called by the book's thread; a thread of its own does the rest."""

    def __init__(self, services: Services, connector: Connector) -> None:
        self._services, self._connector = services, connector
        self._folder = Folder(Path(connector.recordings))
        self._arguments = Arguments()
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        """Without a bound: who hears must not wait, and nothing of this can be missed. It is of recordings alone."""
        self._lock = threading.Lock()
        """Of the three below, and of the order in which what changes them is noted."""
        self._open: dict[str, list[Recording]] = {}
        self._up: set[str] = set()
        self._just_ended: set[str] | None = set()
        """Channels that may stand in a snapshot which is on its way; None when it has come."""
        self._worker = Worker(f"recordings-{connector.name}", self._step, self._tell)
        self._notes = self._read_notes()
        self._files = RecordedFiles(services, connector, self._folder, self._notes, self._tell)
        self._again: dict[tuple[str, int] | str, float] = {}
        self._untold: set[str] = set()
        self._look_at = self._remove_at = 0.0
        self._told = ""

    def _read_notes(self) -> Notes:
        path = Path(self._services.settings.data_dir) / "connectors" / f"{self._connector.name}.recordings"
        notes = Notes(path, time.time_ns())
        for each in notes.recordings.values():
            self._open.setdefault(each.channel, []).append(each)
        return notes

    # -- the part

    def connected(self, session: Session) -> None:
        found = session.listed("CoreShowChannels")
        now_us = time.time_ns() // 1_000
        asked = [(each, _file_of(session, each.get("Channel", ""))) for each in found[:MOST_CHANNELS]]
        told = [(each, _value(future)) for each, future in asked]
        going_on = [
            Recording(each.get("Uniqueid", ""), each.get("Linkedid", ""), path, "", "", now_us)
            for each, path in told
            if path
        ]
        self._found({each.get("Uniqueid", "") for each in found}, going_on)
        self._worker.start()

    def _found(self, channels: set[str], going_on: Iterable[Recording]) -> None:
        """What was heard since is newer."""
        with self._lock:
            self._up |= channels - (self._just_ended or set())
            self._just_ended = None
            known = {(each.channel, each.mixed) for told in self._open.values() for each in told}
            fresh = [each for each in going_on if (each.channel, each.mixed) not in known]
            for each in fresh:
                self._open.setdefault(each.channel, []).append(each)
            self._put(Up(set(self._up), fresh))

    def heard(self, message: Message) -> None:
        kind, now_us = message.get("Event", ""), time.time_ns() // 1_000
        if kind in _HEARD:
            begun = self._arguments.heard(message, now_us)
            with self._lock:
                if begun is not None and len(self._open) < MOST_UP:
                    self._open.setdefault(begun.channel, []).append(begun)
                    self._put(begun)
                if kind == "Newchannel" and len(self._up) < MOST_UP:
                    self._up.add(message.get("Uniqueid", ""))
                elif kind in _ENDS:
                    self._heard_end(kind, message.get("Uniqueid", ""), now_us)

    def _heard_end(self, kind: str, channel: str, now_us: int) -> None:
        if channel in self._open:
            self._put(Ended(channel, now_us))
        if kind == "Hangup":
            self._up.discard(channel)
            if self._just_ended is not None:
                self._just_ended.add(channel)

    def lost(self) -> None:
        with self._lock:
            self._just_ended = set()
            self._up.clear()

    def stop(self) -> None:
        """What was told is noted. While a file is still being taken, the notes are that thread's, and stay open."""
        if self._worker.stop():
            attempt(f"recordings-{self._connector.name}", self._note_all)
            self._notes.close()

    def over(self, customer_id: int | None, call: Call) -> None:
        """A call is over, and in the database. None: it is nobody's."""
        with self._lock:
            found = [each for leg in call.legs for each in self._open.pop(leg, ())]
        if not found:
            return
        legs = hops(call)
        owners = []
        for each in found:
            hop = hop_of(legs, each.channel, each.started_us, each.ended_us or call.last_us)
            owners.append((each, Owner(customer_id, ledger_rows.uniqueid(hop))))
        self._put(Owned(owners, call.last_us))

    def _put(self, item: Item) -> None:
        self._items.put(item)
        self._worker.wake()

    # -- the thread

    def _tell(self, text: str) -> None:
        """Once, until it changes."""
        if text != self._told:
            self._told = text
            log.warning(text, pbx=self._connector.name)

    def _step(self) -> None:
        if self._items.empty() and self._files.still and self._worker.stopping.wait(STILL_S / 2):
            return
        self._note_all()
        now = time.monotonic()
        for each in [each for each in self._notes.recordings.values() if each.ended_us is not None]:
            if self._is_due(_key(each), now):
                self._try(each)
        if self._just_ended is None:
            self._try_all_untold(now)
        if self._connector.remove_recordings and now >= self._remove_at:
            self._files.remove()
            self._remove_at = now + REMOVE_S

    def _note_all(self) -> None:
        while not self._items.empty():
            self._note(self._items.get())

    def _note(self, item: Item) -> None:
        recordings = self._notes.recordings.values()
        match item:
            case Recording():
                self._notes.begun(item)
            case Ended(channel, at_us):
                self._end([each for each in recordings if each.channel == channel], at_us)
            case Owned(owners, over_us):
                self._end([recording for recording, _ in owners], over_us)
                for recording, owner in owners:
                    if _key(recording) in self._notes.recordings:
                        self._notes.owned(recording, owner)
                        self._again.pop(_key(recording), None)
            case Up(channels, going_on):
                for recording in going_on:
                    self._notes.begun(recording)
                self._end([each for each in recordings if each.channel not in channels], time.time_ns() // 1_000)

    def _end(self, recordings: Iterable[Recording], at_us: int) -> None:
        """Those that last."""
        for each in recordings:
            if each.ended_us is None:
                each.ended_us = at_us
                self._notes.ended(each)

    def _is_due(self, key: tuple[str, int] | str, now: float) -> bool:
        """Nothing is when the server ends."""
        return now >= self._again.get(key, 0.0) and not self._worker.stopping.is_set()

    def _put_off(self, key: tuple[str, int] | str, age_s: float) -> None:
        """One that cannot be taken now is tried ever later, and the others meanwhile."""
        self._again[key] = time.monotonic() + max(AGAIN_S, age_s / 10)

    # -- what MixMonitor has told of

    def _try(self, recording: Recording) -> None:
        waited_s = time.time() - (recording.ended_us or 0) / 1_000_000
        owner = self._notes.owner(recording)
        if owner is None and (waited_s < UNSTORED_S or recording.channel in self._up):
            return
        names = [self._folder.located(path) if path else None for path in recording.paths]
        if not any(names):
            self._missing(recording, waited_s)
            return
        files = [None if name is None else self._files.settled(name, STILL_S) for name in names]
        if [each is None for each in files] != [name is None for name in names]:
            return
        owner = owner or self._files.owner_by_id([recording.channel, recording.linked_id])
        if owner is None:
            self._put_off(_key(recording), waited_s)
            return
        if owner.customer_id is None:
            self._files.pass_over(files)
        else:
            fresh = [None if each is None or each in self._notes.taken else each for each in files]
            if any(fresh):
                self._put_off(_key(recording), waited_s)
                started_at = recording.started_us // 1_000_000
                self._files.take(Source(fresh, owner.customer_id, owner.uniqueid, started_at))
        self._finish(recording)

    def _missing(self, recording: Recording, waited_s: float) -> None:
        if waited_s > MISSING_S:
            self._finish(recording)
        else:
            self._again[_key(recording)] = time.monotonic() + min(max(waited_s, 0.2), AGAIN_S)

    def _finish(self, recording: Recording) -> None:
        self._notes.done(recording)
        self._again.pop(_key(recording), None)
        with self._lock:
            left = [each for each in self._open.pop(recording.channel, []) if each is not recording]
            if left:
                self._open[recording.channel] = left

    # -- what nothing was told of

    def _new_files(self) -> Iterator[str]:
        """Those of the last fortnight, and not from before the first connection."""
        after_ns = max(self._notes.since_ns, time.time_ns() - FORTNIGHT_NS)
        for name in self._folder.audio():
            look = self._folder.look(name)
            if look is not None and look.mtime_ns >= after_ns and (name, look) not in self._notes.taken:
                yield name

    def _try_all_untold(self, now: float) -> None:
        if now >= self._look_at:
            self._untold.update(self._new_files())
            self._look_at = now + max(LOOK_S, 20 * (time.monotonic() - now))
        due = sorted(name for name in self._untold if self._is_due(name, now))
        told = self._tied() if due else set()
        for name in due:
            if name not in told and self._is_due(name, now):
                self._try_untold(name)

    def _try_untold(self, name: str) -> None:
        found = self._files.settled(name, UNTOLD_STILL_S)
        if found is None:
            if self._folder.look(name) is None:
                self._drop(name)
        elif found in self._notes.taken:
            self._drop(name)
        else:
            self._take_untold(name, found[1])

    def _take_untold(self, name: str, look: Look) -> None:
        ids = [marks.named(self._connector.mark, each) for each in uniqueids(numbers.clean(PurePosixPath(name).stem))]
        with self._lock:
            if self._just_ended is not None or self._up.intersection(ids):
                return
        self._put_off(name, time.time() - look.mtime_ns / 1e9)
        owner = self._files.owner_by_id(ids)
        if owner is None or owner.customer_id is None:
            return
        started_at = _began(owner.uniqueid, look)
        self._files.take(Source([(name, look), None, None], owner.customer_id, owner.uniqueid, started_at))
        self._drop(name)

    def _tied(self) -> set[str]:
        """Files of which something was told, and that are not taken yet."""
        paths = (path for each in self._notes.recordings.values() for path in filter(None, each.paths))
        return {name for path in paths if (name := self._folder.located(path)) is not None}

    def _drop(self, name: str) -> None:
        self._untold.discard(name)
        self._files.still.pop(name, None)
        self._again.pop(name, None)


_ENDS = {"MixMonitorStop", "Hangup"}
_HEARD = {"Newexten", "VarSet", "MixMonitorStart", "Newchannel", *_ENDS}


def _key(recording: Recording) -> tuple[str, int]:
    return recording.channel, recording.started_us


def _file_of(session: Session, channel: str) -> Future[list[Message]] | None:
    """What the channel is recorded into; None for a name that cannot be asked for."""
    try:
        return session.send("Getvar", ("Channel", channel), ("Variable", VARIABLE))
    except ValueError:
        return None


def _value(asked: Future[list[Message]] | None) -> str:
    """Empty too where the channel has ended since it was listed: that is no reason to take no recordings."""
    try:
        return "" if asked is None else waited(asked, "Getvar")[0].get("Value", "")
    except Refused:
        return ""


def _began(uniqueid: str, look: Look) -> int:
    """Asterisk's ids begin with the second in which the call did."""
    head = uniqueid.rpartition("-")[2].partition(".")[0]
    is_second = head.isascii() and head.isdecimal() and 9 <= len(head) <= 10
    return int(head) if is_second else look.mtime_ns // 1_000_000_000
