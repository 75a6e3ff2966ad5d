"""`recordings`: a folder of call recordings becomes monitors.

A recording belongs to the call whose uniqueid stands in its name or in the JSON file beside it; without one, to the only
call between its numbers at its time. Where that call had several hops it belongs to the one that talked longest.
"""

from pathlib import Path
from typing import Any

from ringback.calls import numbers
from ringback.importers.audio import Keeper, audio_files, reason_of, refuse_nothing
from ringback.importers.importer import Importer, Options, Progress, Summary, Unusable
from ringback.importers.recording_facts import Facts, facts
from ringback.importers.wall_clock import WallClock
from ringback.media.audio import content_hash
from ringback.media.encoder import Encoder
from ringback.services import Services
from ringback.store import recordings
from ringback.store.database import Db, folded, value

HELP = (
    "A folder of call recordings (WAV, MP3, Ogg, GSM, raw telephony formats), also in folders below it. The name of a file "
    "holds the uniqueid of its call (mixmonitor-1795322203.3.wav) or is it, or is as FreePBX or FusionPBX make it, or a JSON "
    "file beside it tells; import the calls before. Links are not followed."
)


def run(services: Services, customer_id: int, path: Path, options: Options, progress: Progress) -> Summary:
    summary = options.summary()
    files = audio_files(path, summary)
    refuse_nothing(files, path, "audio", summary)
    progress.start(len(files), "files")
    clock = WallClock(options.time_zone)
    with Encoder() as encoder:
        keeper = Keeper(services, customer_id, "monitors", encoder, summary)
        for file in files:
            summary.read += 1
            try:
                row = _row(services, customer_id, file, facts(file, clock), options)
            except (Unusable, OSError) as fault:
                summary.refuse(str(file), reason_of(fault))
            else:
                keeper.keep(file, row)
            progress.advance(1)
    return summary


def _row(services: Services, customer_id: int, file: Path, told: Facts, options: Options) -> dict[str, Any]:
    row = services.database.read(lambda db: _call(db, customer_id, told, options) or _alone(db, customer_id, told))
    if row is None:
        named = " or ".join(map(repr, told.uniqueids))
        numbered = ", and no one call alone has its numbers at its time" if told.caller and told.called else ""
        raise Unusable(f"no call has the uniqueid {named} (taken from the file name){numbered}")
    named = row["uniqueid"] or told.uniqueids[0]
    return {**row, "source_key": recordings.source_key(named, content_hash(file))}


def _call(db: Db, customer_id: int, told: Facts, options: Options) -> dict[str, Any] | None:
    for uniqueid in told.uniqueids:
        found = recordings.of_call(db, customer_id, uniqueid)
        if found is not None:
            return found
    if not (told.caller and told.called and told.latest > 0):
        return None
    caller, called = (_number(text, options) for text in (told.caller, told.called))
    return recordings.between(db, customer_id, caller, called, told.earliest, told.latest)


def _number(text: str, options: Options) -> str:
    return numbers.dialled(text, options.country, options.outside_prefix) or numbers.normal(text)


def _alone(db: Db, customer_id: int, told: Facts) -> dict[str, Any] | None:
    """A recording whose JSON file says when it was comes in without its call, and waits for it."""
    if told.start is None:
        return None
    who = {"customer": customer_id, "ext": told.ext, "email": folded(told.user)}
    by_ext = "SELECT id FROM users WHERE customer_id = :customer AND ext = :ext"
    by_email = "SELECT id FROM users WHERE customer_id = :customer AND email_folded = :email"
    return {
        "uniqueid": told.uniqueids[0],
        "timestamp": told.start,
        "caller": numbers.normal(told.caller) or None,
        "called": numbers.normal(told.called) or None,
        "src": numbers.normal(told.caller) or None,
        "dst": numbers.normal(told.called) or None,
        "user_id": value(db, by_ext, who) if told.ext else value(db, by_email, who),
    }


RECORDINGS = Importer("recordings", HELP, run)
