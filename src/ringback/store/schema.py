"""Every table, once, for both engines.

Values are 64-bit integers, texts or NULL: instants are UTC seconds (`_at_us`: microseconds), money is 1/10,000 of the
currency unit, flags are 0 or 1, lists and objects are JSON text. Ids come from `sequences` (SQLite) or a sequence of
the same name (PostgreSQL) and are never used twice.

`info["counted"]` of a table names what `store/rows.py` counts by day in the same transaction: the column of the
day and the columns whose values have counts of their own.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, text

NAMES = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
metadata = MetaData(naming_convention=NAMES)

# Texts sort by code point on both engines, whatever the locale of the PostgreSQL cluster.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# Only INTEGER makes SQLite's primary key the rowid itself.
ID = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", ID, primary_key=True, autoincrement=False)


def _customer() -> Column[int]:
    return Column("customer_id", BigInteger, nullable=False)


def _int(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _ints(*names: str) -> list[Column[int]]:
    return [_int(name, null=True) for name in names]


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=null)


def _texts(*names: str) -> list[Column[str]]:
    return [_text(name, null=True) for name in names]


def _link(name: str, one: str, other: str, *more: Column[int]) -> Table:
    """Which `other` belong to which `one`, within a customer."""
    return Table(
        name,
        metadata,
        Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
        Column(one, BigInteger, primary_key=True, autoincrement=False),
        Column(other, BigInteger, primary_key=True, autoincrement=False),
        *more,
        Index(None, "customer_id", other),
        sqlite_with_rowid=False,
    )


_LINKED = text("linkedid IS NOT NULL")  # imports have none, and no index to keep
_OPEN = text("status <> 'ENDED'")
_UNTIED = text("live_id IS NOT NULL AND cdr_id IS NULL")
_TRACEABLE = text("network IS NOT NULL")

# -- customers, users, sessions ---------------------------------------------------------------------------------------

customers = Table(
    "customers",
    metadata,
    _id(),
    _text("name"),
    *_texts("cc", "currency_iso", "language", "time_zone", "retention"),
    *_ints("balance", "deleted_at"),
    _int("created_at"),
    *_ints("max_call_rate"),
)

users = Table(
    "users",
    metadata,
    _id(),
    _customer(),
    _text("email"),
    _text("email_folded"),
    *_texts("first_name", "last_name", "ext", "cli", "language"),
    _int("active"),
    _int("dnd"),
    _int("is_root"),
    _int("created_at"),
    _text("roles"),
    _text("visited_apps"),
    *_texts("password_hash", "totp_secret"),
    _int("two_factor_auth"),
    *_ints("totp_last_step"),
    *_texts("audio_key"),
    *_ints("audio_duration", "audio_size"),
    _int("nb_sip_locations"),
    *_texts("presence"),
    *_ints("chat_until"),  # takes visitors' chats until then
    UniqueConstraint("email_folded"),
    UniqueConstraint("customer_id", "ext"),
    Index(None, "customer_id", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", TEXT, primary_key=True),
    _int("id"),
    _text("handle"),
    _customer(),
    _int("user_id"),
    _text("kind"),
    *_texts("name", "ip", "user_agent"),
    *_ints("expiry_s"),
    _int("created_at"),
    _int("last_used_at"),
    UniqueConstraint("handle"),
    UniqueConstraint("customer_id", "user_id", "name"),
    sqlite_with_rowid=False,
)

challenges = Table(
    "challenges",  # a login that waits for its second factor, a password reset, an enrolment
    metadata,
    Column("hash", TEXT, primary_key=True),
    _customer(),
    _int("user_id"),
    _text("kind"),
    *_texts("secret"),
    _int("tries"),
    _int("expires_at"),
    Index(None, "customer_id", "user_id"),
    sqlite_with_rowid=False,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", TEXT, primary_key=True),
    sqlite_with_rowid=False,
)

throttles = Table(
    "throttles",
    metadata,
    Column("key", TEXT, primary_key=True),
    _int("failures"),
    _int("blocked_until"),
    _int("updated_at"),
    sqlite_with_rowid=False,
)

auditlog = Table(
    "auditlog",
    metadata,
    _id(),
    _customer(),
    _int("created_at"),
    *_ints("user_id", "object_id"),
    *_texts("user_name", "object_class", "ip", "details"),
    _text("action"),
    Index(None, "customer_id", "created_at", "id"),
)

# -- teams, queues, numbers, contacts ---------------------------------------------------------------------------------

usergroups = Table(
    "usergroups", metadata, _id(), _customer(), _text("name"), _text("color"), UniqueConstraint("customer_id", "name")
)
usergroup_users = _link("usergroup_users", "usergroup_id", "user_id")

usergrouppolicies = Table(
    "usergrouppolicies",
    metadata,
    _id(),
    _customer(),
    _text("name"),
    _text("color"),
    _text("policies"),
    UniqueConstraint("customer_id", "name"),
)
usergrouppolicy_usergroups = _link("usergrouppolicy_usergroups", "usergrouppolicy_id", "usergroup_id")

queues = Table(
    "queues",
    metadata,
    _id(),
    _customer(),
    _text("name"),
    *_texts("number", "ring_strategy"),
    *_ints("ring_time", "skip_busy"),
    UniqueConstraint("customer_id", "name"),
)
queue_users = _link("queue_users", "queue_id", "user_id", _int("status"))

queuegroups = Table("queuegroups", metadata, _id(), _customer(), _text("name"), UniqueConstraint("customer_id", "name"))
queuegroup_queues = _link("queuegroup_queues", "queuegroup_id", "queue_id")

campaigns = Table(
    "campaigns",  # call tracking
    metadata,
    _id(),
    _customer(),
    _text("name"),
    _int("created_at"),
    UniqueConstraint("customer_id", "name"),
)

ddis = Table(
    "ddis",
    metadata,
    _id(),
    _customer(),
    _text("e164"),
    *_texts("number", "destination"),
    *_ints("campaign_id"),
    UniqueConstraint("customer_id", "e164"),
    Index(None, "customer_id", "campaign_id"),
)

contacts = Table(
    "contacts",
    metadata,
    _id(),
    _customer(),
    *_texts("type", "company", "email", "ext", "first_name", "last_name", "group_name", "labels", "notes"),
    *_texts("mobile", "mobile_1", "mobile_2", "tel", "tel_1", "tel_2", "extra"),
    _int("created_at"),
    _int("global"),
    _int("internal"),
    *_ints("rel_user_id", "user_id", "last_call_at"),
    *_texts("source_key"),  # what makes an import idempotent
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "user_id", "created_at", "id"),
    Index(None, "customer_id", "source_key", unique=True),
)

# -- history ----------------------------------------------------------------------------------------------------------

cdrs = Table(
    "cdrs",
    metadata,
    _id(),
    _customer(),
    _int("calldate"),
    _int("duration"),
    _int("billsec"),
    _int("live_id"),
    _int("is_root"),  # no parent_live_id; a column of its own so that it is counted
    *_ints("parent_live_id", "root_live_id", "user_id", "sip_endpoint_id", "server_id", "rate", "charge"),
    _text("type"),
    _text("disposition"),
    _text("destination"),
    _text("context"),
    *_texts("clid", "src_id", "src_name", "src", "src_ua", "src_codec"),
    *_texts("dst_id", "dst_name", "dst", "dst_ua", "dst_codec", "t_cause", "info", "metadata", "uniqueid"),
    _text("labels"),
    _int("nb_notes"),
    _text("source_key"),  # what makes an import idempotent
    *_texts("linkedid"),  # the whole call's name at its source, where hops come in one by one
    UniqueConstraint("customer_id", "source_key"),
    Index(None, "customer_id", "id"),
    Index(None, "customer_id", "calldate", "id"),
    Index(None, "customer_id", "type", "calldate", "id"),
    Index(None, "customer_id", "user_id", "calldate", "id"),
    Index(None, "customer_id", "dst", "calldate", "id"),
    Index(None, "customer_id", "live_id", unique=True),
    Index(None, "customer_id", "root_live_id"),
    Index(None, "customer_id", "linkedid", sqlite_where=_LINKED, postgresql_where=_LINKED),
    Index(None, "customer_id", "uniqueid"),
    info={"counted": ("calldate", ("type", "disposition", "destination", "context", "user_id", "is_root"))},
)

cdr_parties = Table(
    "cdr_parties",  # the users of a CDR: user_id, and whoever src_id and dst_id name
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("calldate", BigInteger, primary_key=True, autoincrement=False),
    Column("cdr_id", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "customer_id", "cdr_id"),
    sqlite_with_rowid=False,
    info={"counted": ("calldate", ("user_id",))},
)

cdr_channels = Table(
    "cdr_channels",  # channels of a call that none of its hops is named after: see store/cdr_channels.py
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", TEXT, primary_key=True),
    _int("cdr_id"),  # of the root
    Index(None, "customer_id", "cdr_id"),
    sqlite_with_rowid=False,
)

cdr_notes = Table(
    "cdr_notes",
    metadata,
    _id(),
    _customer(),
    _int("cdr_id"),
    _int("user_id"),
    *_texts("user_name"),
    _text("text"),
    _int("created_at"),
    Index(None, "customer_id", "cdr_id", "created_at", "id"),
)

monitors = Table(
    "monitors",
    metadata,
    _id(),
    _customer(),
    *_ints("cdr_id", "live_id", "user_id", "sip_endpoint_id", "cx_score"),
    *_texts("called", "caller", "context", "dst", "dst_id", "dst_name", "src", "src_id", "src_name", "type"),
    *_texts("sentiment", "summary", "transcript", "transcript_speakers", "metadata"),
    _int("duration"),
    _int("size"),
    _int("timestamp"),
    _text("blob_key"),
    _text("source_key"),
    *_texts("uniqueid"),  # of the call that it belongs to, also while that is not there
    UniqueConstraint("customer_id", "source_key"),
    Index(None, "customer_id", "timestamp", "id"),
    Index(None, "customer_id", "user_id", "timestamp", "id"),
    Index(None, "customer_id", "cdr_id"),
    Index(None, "customer_id", "uniqueid"),
    info={"counted": ("timestamp", ("user_id",))},
)

mediasessions = Table(
    "mediasessions",
    metadata,
    _id(),
    _customer(),
    _text("call_id"),
    _int("created_at"),
    _int("updated_at"),
    _text("status"),
    *_texts("src", "src_id", "src_ua", "dst", "dst_id", "dst_ua", "type", "quality"),
    _int("duration"),
    *_ints("user_id"),
    *_ints("slice_day"),  # where its packets are: see store/slices
    *_texts("src_ip", "dst_ip"),  # between which addresses the first INVITE went
    UniqueConstraint("customer_id", "call_id"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "updated_at", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index(None, "customer_id", "src", "created_at"),
    Index(None, "customer_id", "slice_day", "created_at", "id"),
    info={"counted": ("created_at", ("user_id",))},
)

spooled = Table(
    "spooled",  # messages of a PBX's voicemail spool that are voice messages here: see store/spooled.py
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("pbx", TEXT, primary_key=True),  # the connector's name
    Column("source_key", TEXT, primary_key=True),
    _text("place"),  # CONTEXT/MAILBOX
    _text("folder"),  # in which both sides had it last
    _int("was_here"),  # 1: it became a voice message
    Index(None, "customer_id", "pbx", "place"),
    sqlite_with_rowid=False,
)

leg_keys = Table(
    "leg_keys",  # what a media session says of others that it belongs to: see sip/legs.py
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", TEXT, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # when the session began
    Column("call_id", TEXT, primary_key=True),
    Index(None, "customer_id", "call_id"),
    sqlite_with_rowid=False,
)

msdrs = Table(
    "msdrs",
    metadata,
    _id(),
    _customer(),
    _text("call_id"),
    _int("created_at"),
    _int("duration"),
    *_ints("media_session_id", "user_id", "cdr_id"),
    *_texts("src", "src_id", "src_ua", "dst", "dst_id", "dst_ua", "t_cause", "type", "quality"),
    *_texts("src_ip", "dst_ip", "ended_by"),
    *_ints("is_told"),  # 1: the PBX itself said that it is a leg of its CDR
    UniqueConstraint("customer_id", "call_id"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "cdr_id"),
    Index(None, "customer_id", "src", "created_at", "id"),
    Index(None, "customer_id", "dst", "created_at", "id"),
    info={"counted": ("created_at", ("user_id",))},
)

voicemessages = Table(
    "voicemessages",
    metadata,
    _id(),
    _customer(),
    *_texts("caller", "callerid", "dialled", "transcript"),
    _int("duration"),
    _int("size"),
    *_ints("extension_id", "live_id", "parent_live_id"),
    _text("folder"),
    _int("is_new"),
    _int("origtime"),
    _text("blob_key"),
    _text("source_key"),
    UniqueConstraint("customer_id", "source_key"),
    Index(None, "customer_id", "origtime", "id"),
    Index(None, "customer_id", "extension_id", "origtime", "id"),
    info={"counted": ("origtime", ("extension_id",))},
)

chats = Table(
    "chats",
    metadata,
    _id(),
    _customer(),
    _int("created_at"),
    *_ints("duration", "operator_id", "website_id"),
    *_texts("operator_ua", "visitor_city", "visitor_country", "visitor_email", "visitor_geo", "visitor_id"),
    *_texts("visitor_ip", "visitor_name", "visitor_referer", "visitor_ua"),
    _text("state"),
    # Of chats in the widget: the visitor's (while it is open, in `open_token` too), and the users who are asked (",7,8,").
    *_texts("token", "open_token", "network", "asked", "visitor_page"),
    *_ints("accepted_at", "seen_at", "visitor_typing_at", "operator_typing_at", "revision", "transcripts"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "operator_id", "created_at", "id"),
    Index(None, "customer_id", "token"),
    Index(None, "customer_id", "open_token", unique=True),
    Index(None, "customer_id", "network", "created_at"),
    Index(None, "customer_id", "website_id", "created_at"),
    Index(None, "customer_id", "created_at", sqlite_where=_TRACEABLE, postgresql_where=_TRACEABLE),
    info={"counted": ("created_at", ("operator_id",))},
)

chatmsgs = Table(
    "chatmsgs",
    metadata,
    _id(),
    _customer(),
    _int("created_at"),
    *_ints("chat_id", "user_id", "read_at", "delivered_at", "number"),  # from 1 on, of a chat in the widget
    *_texts("from_id", "from_name", "to_id", "to_name", "client_id"),
    _text("message"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "chat_id", "created_at", "id"),
    Index(None, "customer_id", "user_id", "created_at", "id"),
    Index(None, "customer_id", "from_id", "created_at", "id"),
    Index(None, "customer_id", "to_id", "created_at", "id"),
    info={"counted": ("created_at", ())},
)

sms = Table(
    "sms",
    metadata,
    _id(),
    _customer(),
    _int("created_at"),
    *_texts("from", "from_id", "from_name", "to", "to_id", "to_name", "message", "result", "type"),
    *_ints("user_id"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "user_id", "created_at", "id"),
    info={"counted": ("created_at", ("user_id",))},
)

statements = Table(
    "statements",
    metadata,
    _id(),
    _customer(),
    _int("created_at"),
    _text("description"),
    _int("amount"),
    _int("balance"),
    *_ints("cdr_id"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "cdr_id"),
    info={"counted": ("created_at", ())},
)

# -- money, keeping and letting go ------------------------------------------------------------------------------------

rates = Table(
    "rates",  # the rate deck: the longest prefix of a number says what a minute costs
    metadata,
    _id(),
    _customer(),
    _text("prefix"),
    _text("destination"),
    _int("price_micro"),  # a minute, in 1/1,000,000 of the currency unit
    _int("minimum_s"),
    _int("increment_s"),
    UniqueConstraint("customer_id", "prefix"),
)

holds = Table(
    "holds",  # legal holds: of the records in hold_objects, or of all that a filter matches, also those to come
    metadata,
    _id(),
    _customer(),
    _text("resource"),
    *_texts("filter", "reason", "user_name"),
    *_ints("user_id"),
    _int("created_at"),
    Index(None, "customer_id", "resource"),
)
hold_objects = _link("hold_objects", "hold_id", "object_id")

erasures = Table(
    "erasures",  # persons who were forgotten; never who they were
    metadata,
    _id(),
    _customer(),
    _text("kind"),  # number, email
    _text("fingerprint"),
    _text("state"),  # waiting, running, done
    *_texts("certificate", "user_name"),
    *_ints("user_id", "finished_at"),
    _int("created_at"),
    Index(None, "customer_id", "created_at", "id"),
)

exports = Table(
    "exports",
    metadata,
    _id(),
    _customer(),
    _int("user_id"),
    *_texts("user_name"),
    _text("resource"),
    _text("format"),
    *_texts("filter", "sort", "blob_key", "error", "rights"),  # JSON: what its user was allowed to see
    _text("state"),  # waiting, running, done, failed
    _int("progress"),  # per cent
    *_ints("rows", "size", "finished_at", "expires_at"),
    _int("created_at"),
    Index(None, "customer_id", "created_at", "id"),
)

audio_inbox = Table(
    "audio_inbox",  # audio that came in and is not encoded yet, or cannot be
    metadata,
    _id(),
    _customer(),
    _text("shelf"),  # monitors, voicemessages
    _text("source_key"),
    _text("row"),  # JSON: the columns of the row to be
    _text("name"),  # of the file, whose suffix may say the format
    _text("state"),  # waiting, broken
    *_texts("blob_key", "error"),
    _int("created_at"),
    UniqueConstraint("customer_id", "shelf", "source_key"),
    Index(None, "customer_id", "created_at", "id"),
)

copied = Table(
    "copied",  # what of another server's account became what here
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("resource", TEXT, primary_key=True),  # a table's name; `source`: the one row says whose account it was
    Column("source_id", TEXT, primary_key=True),
    _int("object_id"),
    sqlite_with_rowid=False,
)

# -- live calls -------------------------------------------------------------------------------------------------------


def _calls(name: str, *more: Column[int] | Index) -> Table:
    return Table(
        name,
        metadata,
        _id(),
        _customer(),
        _int("start_time"),
        *_ints(
            "connected_at", "duration", "parent_id", "user_id", "peer_user_id", "src_rate", "dst_rate", "min_charge"
        ),
        *_texts("clid", "context", "destination", "dst", "dst_call_id", "dst_codec", "dst_connection", "dst_contact"),
        *_texts("dst_id", "dst_name", "dst_ua", "monitor_state", "queue_state", "referred_by", "src", "src_call_id"),
        *_texts("src_codec", "src_contact", "src_id", "src_name", "src_ua", "action_url", "action_text"),
        _text("state"),
        *more,
    )


# The live-call state: rows live as long as the call, and what they were at its end for some minutes more.
calls = _calls("calls", Index(None, "customer_id", "start_time", "id"))
ended_calls = _calls("ended_calls", _int("ended_at"), Index(None, "customer_id", "id"))

# -- call me back -----------------------------------------------------------------------------------------------------

callmeback_buttons = Table(
    "callmeback_buttons",
    metadata,
    _id(),
    _customer(),
    _text("name"),
    *_texts("data_online", "data_offline"),
    _int("created_at"),
    Index(None, "customer_id", "id"),
)

callmeback_settings = Table(
    "callmeback_settings",
    metadata,
    _id(),
    _customer(),
    _text("name"),
    _int("created_at"),
    *_ints("button_id", "daily_spend", "max_duration"),
    _int("ddi_id"),
    _text("position"),
    _text("culture"),
    _int("floating_icon"),
    _text("allowed_countries"),
    _int("show_to_allowed_countries_only"),
    _int("max_call_rate"),
    *_texts("title", "welcome_screen_msg", "privacy_policy_url", "time_zone"),
    _text("allowed_domains"),
    _text("dial_first"),
    *_texts("hours", "holidays"),
    _int("chat_enabled"),
    *_texts("public_key", "missed_mail"),  # what a page names it by; whom missed callbacks are told
    Index(None, "customer_id", "id"),
    Index(None, "public_key", unique=True),
)

callmeback_domains = Table(
    "callmeback_domains",  # hosts that a widget was loaded from
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("setting_id", BigInteger, primary_key=True, autoincrement=False),
    Column("host", TEXT, primary_key=True),
    _int("seen_at"),
    sqlite_with_rowid=False,
)

callmeback_visitors = Table(
    "callmeback_visitors",
    metadata,
    _id(),
    _customer(),
    _int("setting_id"),
    _int("created_at"),
    _int("last_seen_at"),
    *_texts("ip", "country", "city", "ua", "referer", "page", "number", "name"),
    _text("state"),
    *_ints("cdr_id"),
    *_texts("token", "network"),  # by which its page knows it; the address, or the /64 that it is in
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "setting_id"),
    Index(None, "customer_id", "cdr_id"),
    Index(None, "customer_id", "token", unique=True),
    Index(None, "customer_id", "network", "created_at"),
    Index(None, "customer_id", "created_at", sqlite_where=_TRACEABLE, postgresql_where=_TRACEABLE),
    info={"counted": ("created_at", ())},
)

callmeback_requests = Table(
    "callmeback_requests",
    metadata,
    _id(),
    _customer(),
    _int("setting_id"),
    *_ints("visitor_id", "preferred_at", "cdr_id"),
    *_texts("number", "reason"),
    _text("state"),
    _int("created_at"),
    *_texts("token", "network", "dial_first", "channel"),  # channel: the id of the call's first one at the PBX
    *_texts("stage", "open_number"),  # see callback/course.py; the number, while the request is open
    *_ints("live_id", "tries", "due_at", "changed_at", "rang_at", "price_micro", "most_s"),
    Index(None, "customer_id", "created_at", "id"),
    Index(None, "customer_id", "setting_id", "created_at"),
    Index(None, "customer_id", "cdr_id"),
    Index(None, "customer_id", "token", unique=True),
    Index(None, "customer_id", "open_number", unique=True),
    Index(None, "customer_id", "number", "created_at"),
    Index(None, "customer_id", "network", "created_at"),
    Index(None, "customer_id", "created_at", sqlite_where=_TRACEABLE, postgresql_where=_TRACEABLE),
    Index(None, "customer_id", "live_id", sqlite_where=_UNTIED, postgresql_where=_UNTIED),
    info={"counted": ("created_at", ())},
)

callmeback_donotcall = Table(
    "callmeback_donotcall",  # numbers that are never called back
    metadata,
    _id(),
    _customer(),
    _text("number"),
    *_texts("note"),
    _int("created_at"),
    UniqueConstraint("customer_id", "number"),
    Index(None, "customer_id", "created_at", "id"),
)

# -- the machine's own ------------------------------------------------------------------------------------------------

counters = Table(
    "counters",  # how many rows of a table fall on a day (attribute ""), or have a value of an attribute there
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("resource", TEXT, primary_key=True),
    Column("attribute", TEXT, primary_key=True),
    Column("value", TEXT, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    _int("n"),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _customer(),
    _text("kind"),
    _text("args"),
    _text("state"),  # waiting, running, dead; a finished job has no row
    _int("attempts"),
    _int("run_at"),
    _int("lease_until"),
    _int("created_at"),
    *_texts("error", "unique_key"),
    UniqueConstraint("customer_id", "kind", "unique_key"),
    Index(None, "state", "run_at"),
    Index(None, "kind", "state", "run_at"),
)

_UNNUMBERED = text("number IS NULL")
events = Table(
    "events",  # what has changed lately, for streams: which record, nothing of it; numbered when it is committed
    metadata,
    _id(),
    _customer(),
    _text("kind"),
    _int("object_id"),
    _int("number", null=True),
    Index(None, "customer_id", "number"),
    Index("ix_events_unnumbered", "id", sqlite_where=_UNNUMBERED, postgresql_where=_UNNUMBERED),
)

event_marks = Table(
    "event_marks",  # the number of each customer's last event, which stays when the event is gone
    metadata,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    _int("last"),
)

server_secrets = Table(
    "server_secrets",  # made at first use, the same for every process on this database
    metadata,
    Column("name", TEXT, primary_key=True),
    _text("secret"),
    sqlite_with_rowid=False,
)

sequences = Table(
    "sequences",  # SQLite only: the next id of a table; PostgreSQL has sequences of the same names
    metadata,
    Column("name", TEXT, primary_key=True),
    _int("next"),
    sqlite_with_rowid=False,
)

FIRST_USER_ID = 100_001
BLOB_COLUMNS = frozenset({"blob_key", "audio_key"})
"""In whichever table: the key of a blob."""
shares = Table(
    "shares",  # links that show a call's signalling to somebody without an account
    metadata,
    _id(),
    _customer(),
    _text("hash"),  # of the token, which nobody can be told again
    _int("cdr_id"),
    _int("user_id"),
    _int("created_at"),
    _int("expires_at"),
    UniqueConstraint("hash"),
    Index(None, "customer_id", "created_at", "id"),
)

registrations = Table(
    "registrations",  # the last state of an address-of-record at one device, as captured REGISTERs tell it
    metadata,
    _id(),
    _customer(),
    _text("aor"),
    _text("device"),  # its address, and the name that it gives itself where that is another
    *_ints("user_id", "src_port", "registered_at", "expires_at"),
    *_texts("contact", "user_agent", "last_cause"),
    _text("src_ip"),
    _text("transport"),
    _text("state"),
    _int("last_at"),
    _int("failures"),
    _text("call_id"),
    _text("attempts"),  # JSON: what the next message has to be read with
    UniqueConstraint("customer_id", "aor", "device"),
    Index(None, "customer_id", "last_at", "id"),
    Index(None, "customer_id", "user_id"),
)
SEQUENCES = {table.name: 1 for table in metadata.sorted_tables if "id" in table.c} | {
    "users": FIRST_USER_ID,
    "live": 1,
    "packets": 1,
}


def columns(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def counted(table: Table) -> tuple[str, tuple[str, ...]] | None:
    """The column of the day and the attributes that are counted by value; None for a table that is small."""
    return table.info.get("counted")
