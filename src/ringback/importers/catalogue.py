"""`IMPORTERS`: every kind of file that comes in, one line a kind. Importing it imports all of them."""

from ringback.importers.asterisk_cdr import ASTERISK_CDR
from ringback.importers.asterisk_cel import ASTERISK_CEL
from ringback.importers.cdrs import CDRS
from ringback.importers.contacts import CONTACTS
from ringback.importers.ddis import DDIS
from ringback.importers.freeswitch_cdr import FREESWITCH_CDR
from ringback.importers.pcap import PCAP
from ringback.importers.rates import RATES
from ringback.importers.recordings import RECORDINGS
from ringback.importers.users import USERS
from ringback.importers.voicemail import VOICEMAIL
from ringback.importers.voipstudio import VOIPSTUDIO

IMPORTERS = {
    importer.kind: importer
    for importer in (
        ASTERISK_CDR,
        ASTERISK_CEL,
        FREESWITCH_CDR,
        CDRS,
        RECORDINGS,
        VOICEMAIL,
        PCAP,
        USERS,
        CONTACTS,
        DDIS,
        RATES,
        VOIPSTUDIO,
    )
}
