"""The catalogue of job kinds: one line each."""

from collections.abc import Iterable, Mapping
from functools import partial

from ringback.callback import missed
from ringback.chat import watch
from ringback.identity import mails
from ringback.jobs import delete_customer, drop_blobs, encode, erase, exports, rerate, retain
from ringback.jobs.worker import Run
from ringback.resources.history import export_job
from ringback.rest import wipes
from ringback.rest.endpoint import Endpoint

MAILS: Mapping[str, Run] = {mails.CODE: mails.send_code, mails.RESET: mails.send_reset}
"""Somebody waits for them in front of a login."""

UNTIL_DONE = (drop_blobs.KIND, wipes.KIND, erase.KIND, delete_customer.KIND, encode.KIND, rerate.KIND)
"""Never given up for good. What else there is has another end: a mail is too late, an export says that it failed, retention
is planned anew."""


def kinds(endpoints: Iterable[Endpoint]) -> Mapping[str, Run]:
    """What each kind of job does; wipes know their collections from the rows of the API."""
    wiping = {each.path: each for each in endpoints if isinstance(each, wipes.WipeEndpoint)}
    return {
        wipes.KIND: partial(wipes.run, wiping),
        drop_blobs.KIND: drop_blobs.run,
        delete_customer.KIND: delete_customer.run,
        erase.KIND: erase.run,
        encode.KIND: encode.Encoding().run,
        retain.KIND: retain.run,
        rerate.KIND: rerate.run,
        exports.KIND: export_job.Exporting().run,
        missed.KIND: missed.send,
        watch.WATCH: watch.watch,
        watch.MISSED: watch.send_missed,
        watch.TRANSCRIPT: watch.send_transcript,
        **MAILS,
    }
