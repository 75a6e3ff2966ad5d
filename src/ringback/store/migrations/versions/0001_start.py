"""The first schema."""

import sqlalchemy as sa
from alembic import op

from ringback.store.migrations import engine_parts

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT = sa.BigInteger()
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCES = {
    "auditlog": 1,
    "callmeback_buttons": 1,
    "callmeback_requests": 1,
    "callmeback_settings": 1,
    "callmeback_visitors": 1,
    "calls": 1,
    "campaigns": 1,
    "cdr_notes": 1,
    "cdrs": 1,
    "chatmsgs": 1,
    "chats": 1,
    "contacts": 1,
    "customers": 1,
    "ddis": 1,
    "jobs": 1,
    "live": 1,
    "mediasessions": 1,
    "monitors": 1,
    "msdrs": 1,
    "queuegroups": 1,
    "queues": 1,
    "sip_messages": 1,
    "sms": 1,
    "statements": 1,
    "tokens": 1,
    "usergrouppolicies": 1,
    "usergroups": 1,
    "users": 100001,
    "voicemessages": 1,
}


def upgrade() -> None:
    _auditlog()
    _callmeback_buttons()
    _callmeback_domains()
    _callmeback_requests()
    _callmeback_settings()
    _callmeback_visitors()
    _calls()
    _campaigns()
    _cdr_notes()
    _cdr_parties()
    _cdrs()
    _challenges()
    _chatmsgs()
    _chats()
    _contacts()
    _counters()
    _customers()
    _ddis()
    _jobs()
    _mediasessions()
    _monitors()
    _msdrs()
    _queue_users()
    _queuegroup_queues()
    _queuegroups()
    _queues()
    _recovery_codes()
    _sequences()
    _server_secrets()
    _sip_messages()
    _sms()
    _statements()
    _throttles()
    _tokens()
    _usergroup_users()
    _usergrouppolicies()
    _usergrouppolicy_usergroups()
    _usergroups()
    _users()
    _voicemessages()
    engine_parts.create(op.get_bind(), SEQUENCES)


def _auditlog() -> None:
    op.create_table(
        "auditlog",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("object_id", INT, nullable=True),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("object_class", TEXT, nullable=True),
        sa.Column("ip", TEXT, nullable=True),
        sa.Column("details", TEXT, nullable=True),
        sa.Column("action", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_auditlog")),
    )
    op.create_index(
        op.f("ix_auditlog_customer_id_created_at_id"), "auditlog", ["customer_id", "created_at", "id"], unique=False
    )


def _callmeback_buttons() -> None:
    op.create_table(
        "callmeback_buttons",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("data_online", TEXT, nullable=True),
        sa.Column("data_offline", TEXT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callmeback_buttons")),
    )
    op.create_index(
        op.f("ix_callmeback_buttons_customer_id_id"), "callmeback_buttons", ["customer_id", "id"], unique=False
    )


def _callmeback_domains() -> None:
    op.create_table(
        "callmeback_domains",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("setting_id", INT, autoincrement=False, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("seen_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "setting_id", "host", name=op.f("pk_callmeback_domains")),
        sqlite_with_rowid=False,
    )


def _callmeback_requests() -> None:
    op.create_table(
        "callmeback_requests",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("setting_id", INT, nullable=False),
        sa.Column("visitor_id", INT, nullable=True),
        sa.Column("preferred_at", INT, nullable=True),
        sa.Column("cdr_id", INT, nullable=True),
        sa.Column("number", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callmeback_requests")),
    )
    op.create_index(
        op.f("ix_callmeback_requests_customer_id_cdr_id"),
        "callmeback_requests",
        ["customer_id", "cdr_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_callmeback_requests_customer_id_created_at_id"),
        "callmeback_requests",
        ["customer_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_callmeback_requests_customer_id_setting_id"),
        "callmeback_requests",
        ["customer_id", "setting_id"],
        unique=False,
    )


def _callmeback_settings() -> None:
    op.create_table(
        "callmeback_settings",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("button_id", INT, nullable=True),
        sa.Column("daily_spend", INT, nullable=True),
        sa.Column("max_duration", INT, nullable=True),
        sa.Column("ddi_id", INT, nullable=False),
        sa.Column("position", TEXT, nullable=False),
        sa.Column("culture", TEXT, nullable=False),
        sa.Column("floating_icon", INT, nullable=False),
        sa.Column("allowed_countries", TEXT, nullable=False),
        sa.Column("show_to_allowed_countries_only", INT, nullable=False),
        sa.Column("max_call_rate", INT, nullable=False),
        sa.Column("title", TEXT, nullable=True),
        sa.Column("welcome_screen_msg", TEXT, nullable=True),
        sa.Column("privacy_policy_url", TEXT, nullable=True),
        sa.Column("time_zone", TEXT, nullable=True),
        sa.Column("allowed_domains", TEXT, nullable=False),
        sa.Column("dial_first", TEXT, nullable=False),
        sa.Column("hours", TEXT, nullable=True),
        sa.Column("holidays", TEXT, nullable=True),
        sa.Column("chat_enabled", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callmeback_settings")),
    )
    op.create_index(
        op.f("ix_callmeback_settings_customer_id_id"), "callmeback_settings", ["customer_id", "id"], unique=False
    )


def _callmeback_visitors() -> None:
    op.create_table(
        "callmeback_visitors",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("setting_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("last_seen_at", INT, nullable=False),
        sa.Column("ip", TEXT, nullable=True),
        sa.Column("country", TEXT, nullable=True),
        sa.Column("city", TEXT, nullable=True),
        sa.Column("ua", TEXT, nullable=True),
        sa.Column("referer", TEXT, nullable=True),
        sa.Column("page", TEXT, nullable=True),
        sa.Column("number", TEXT, nullable=True),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("cdr_id", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callmeback_visitors")),
    )
    op.create_index(
        op.f("ix_callmeback_visitors_customer_id_cdr_id"),
        "callmeback_visitors",
        ["customer_id", "cdr_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_callmeback_visitors_customer_id_created_at_id"),
        "callmeback_visitors",
        ["customer_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_callmeback_visitors_customer_id_setting_id"),
        "callmeback_visitors",
        ["customer_id", "setting_id"],
        unique=False,
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("start_time", INT, nullable=False),
        sa.Column("connected_at", INT, nullable=True),
        sa.Column("duration", INT, nullable=True),
        sa.Column("parent_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("peer_user_id", INT, nullable=True),
        sa.Column("src_rate", INT, nullable=True),
        sa.Column("dst_rate", INT, nullable=True),
        sa.Column("min_charge", INT, nullable=True),
        sa.Column("clid", TEXT, nullable=True),
        sa.Column("context", TEXT, nullable=True),
        sa.Column("destination", TEXT, nullable=True),
        sa.Column("dst", TEXT, nullable=True),
        sa.Column("dst_call_id", TEXT, nullable=True),
        sa.Column("dst_codec", TEXT, nullable=True),
        sa.Column("dst_connection", TEXT, nullable=True),
        sa.Column("dst_contact", TEXT, nullable=True),
        sa.Column("dst_id", TEXT, nullable=True),
        sa.Column("dst_name", TEXT, nullable=True),
        sa.Column("dst_ua", TEXT, nullable=True),
        sa.Column("monitor_state", TEXT, nullable=True),
        sa.Column("queue_state", TEXT, nullable=True),
        sa.Column("referred_by", TEXT, nullable=True),
        sa.Column("src", TEXT, nullable=True),
        sa.Column("src_call_id", TEXT, nullable=True),
        sa.Column("src_codec", TEXT, nullable=True),
        sa.Column("src_contact", TEXT, nullable=True),
        sa.Column("src_id", TEXT, nullable=True),
        sa.Column("src_name", TEXT, nullable=True),
        sa.Column("src_ua", TEXT, nullable=True),
        sa.Column("action_url", TEXT, nullable=True),
        sa.Column("action_text", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index(
        op.f("ix_calls_customer_id_start_time_id"), "calls", ["customer_id", "start_time", "id"], unique=False
    )


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("customer_id", "name", name=op.f("uq_campaigns_customer_id_name")),
    )


def _cdr_notes() -> None:
    op.create_table(
        "cdr_notes",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("cdr_id", INT, nullable=False),
        sa.Column("user_id", INT, nullable=False),
        sa.Column("user_name", TEXT, nullable=True),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cdr_notes")),
    )
    op.create_index(
        op.f("ix_cdr_notes_customer_id_cdr_id_created_at_id"),
        "cdr_notes",
        ["customer_id", "cdr_id", "created_at", "id"],
        unique=False,
    )


def _cdr_parties() -> None:
    op.create_table(
        "cdr_parties",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("user_id", INT, autoincrement=False, nullable=False),
        sa.Column("calldate", INT, autoincrement=False, nullable=False),
        sa.Column("cdr_id", INT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "user_id", "calldate", "cdr_id", name=op.f("pk_cdr_parties")),
        info={"counted": ("calldate", ("user_id",))},
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_cdr_parties_customer_id_cdr_id"), "cdr_parties", ["customer_id", "cdr_id"], unique=False)


def _cdrs() -> None:
    op.create_table(
        "cdrs",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("calldate", INT, nullable=False),
        sa.Column("duration", INT, nullable=False),
        sa.Column("billsec", INT, nullable=False),
        sa.Column("live_id", INT, nullable=False),
        sa.Column("is_root", INT, nullable=False),
        sa.Column("parent_live_id", INT, nullable=True),
        sa.Column("root_live_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("sip_endpoint_id", INT, nullable=True),
        sa.Column("server_id", INT, nullable=True),
        sa.Column("rate", INT, nullable=True),
        sa.Column("charge", INT, nullable=True),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("disposition", TEXT, nullable=False),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("context", TEXT, nullable=False),
        sa.Column("clid", TEXT, nullable=True),
        sa.Column("src_id", TEXT, nullable=True),
        sa.Column("src_name", TEXT, nullable=True),
        sa.Column("src", TEXT, nullable=True),
        sa.Column("src_ua", TEXT, nullable=True),
        sa.Column("src_codec", TEXT, nullable=True),
        sa.Column("dst_id", TEXT, nullable=True),
        sa.Column("dst_name", TEXT, nullable=True),
        sa.Column("dst", TEXT, nullable=True),
        sa.Column("dst_ua", TEXT, nullable=True),
        sa.Column("dst_codec", TEXT, nullable=True),
        sa.Column("t_cause", TEXT, nullable=True),
        sa.Column("info", TEXT, nullable=True),
        sa.Column("metadata", TEXT, nullable=True),
        sa.Column("uniqueid", TEXT, nullable=True),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("nb_notes", INT, nullable=False),
        sa.Column("source_key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cdrs")),
        sa.UniqueConstraint("customer_id", "source_key", name=op.f("uq_cdrs_customer_id_source_key")),
    )
    op.create_index(op.f("ix_cdrs_customer_id_calldate_id"), "cdrs", ["customer_id", "calldate", "id"], unique=False)
    op.create_index(
        op.f("ix_cdrs_customer_id_dst_calldate_id"), "cdrs", ["customer_id", "dst", "calldate", "id"], unique=False
    )
    op.create_index(op.f("ix_cdrs_customer_id_id"), "cdrs", ["customer_id", "id"], unique=False)
    op.create_index(op.f("ix_cdrs_customer_id_live_id"), "cdrs", ["customer_id", "live_id"], unique=True)
    op.create_index(op.f("ix_cdrs_customer_id_root_live_id"), "cdrs", ["customer_id", "root_live_id"], unique=False)
    op.create_index(
        op.f("ix_cdrs_customer_id_type_calldate_id"), "cdrs", ["customer_id", "type", "calldate", "id"], unique=False
    )
    op.create_index(op.f("ix_cdrs_customer_id_uniqueid"), "cdrs", ["customer_id", "uniqueid"], unique=False)
    op.create_index(
        op.f("ix_cdrs_customer_id_user_id_calldate_id"),
        "cdrs",
        ["customer_id", "user_id", "calldate", "id"],
        unique=False,
    )


def _challenges() -> None:
    op.create_table(
        "challenges",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("user_id", INT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("secret", TEXT, nullable=True),
        sa.Column("tries", INT, nullable=False),
        sa.Column("expires_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_challenges")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_challenges_customer_id_user_id"), "challenges", ["customer_id", "user_id"], unique=False)


def _chatmsgs() -> None:
    op.create_table(
        "chatmsgs",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("chat_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("read_at", INT, nullable=True),
        sa.Column("from_id", TEXT, nullable=True),
        sa.Column("from_name", TEXT, nullable=True),
        sa.Column("to_id", TEXT, nullable=True),
        sa.Column("to_name", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatmsgs")),
    )
    op.create_index(
        op.f("ix_chatmsgs_customer_id_chat_id_created_at_id"),
        "chatmsgs",
        ["customer_id", "chat_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_chatmsgs_customer_id_created_at_id"), "chatmsgs", ["customer_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_chatmsgs_customer_id_from_id_created_at_id"),
        "chatmsgs",
        ["customer_id", "from_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_chatmsgs_customer_id_to_id_created_at_id"),
        "chatmsgs",
        ["customer_id", "to_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_chatmsgs_customer_id_user_id_created_at_id"),
        "chatmsgs",
        ["customer_id", "user_id", "created_at", "id"],
        unique=False,
    )


def _chats() -> None:
    op.create_table(
        "chats",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("duration", INT, nullable=True),
        sa.Column("operator_id", INT, nullable=True),
        sa.Column("website_id", INT, nullable=True),
        sa.Column("operator_ua", TEXT, nullable=True),
        sa.Column("visitor_city", TEXT, nullable=True),
        sa.Column("visitor_country", TEXT, nullable=True),
        sa.Column("visitor_email", TEXT, nullable=True),
        sa.Column("visitor_geo", TEXT, nullable=True),
        sa.Column("visitor_id", TEXT, nullable=True),
        sa.Column("visitor_ip", TEXT, nullable=True),
        sa.Column("visitor_name", TEXT, nullable=True),
        sa.Column("visitor_referer", TEXT, nullable=True),
        sa.Column("visitor_ua", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chats")),
    )
    op.create_index(
        op.f("ix_chats_customer_id_created_at_id"), "chats", ["customer_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_chats_customer_id_operator_id_created_at_id"),
        "chats",
        ["customer_id", "operator_id", "created_at", "id"],
        unique=False,
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("type", TEXT, nullable=True),
        sa.Column("company", TEXT, nullable=True),
        sa.Column("email", TEXT, nullable=True),
        sa.Column("ext", TEXT, nullable=True),
        sa.Column("first_name", TEXT, nullable=True),
        sa.Column("last_name", TEXT, nullable=True),
        sa.Column("group_name", TEXT, nullable=True),
        sa.Column("labels", TEXT, nullable=True),
        sa.Column("notes", TEXT, nullable=True),
        sa.Column("mobile", TEXT, nullable=True),
        sa.Column("mobile_1", TEXT, nullable=True),
        sa.Column("mobile_2", TEXT, nullable=True),
        sa.Column("tel", TEXT, nullable=True),
        sa.Column("tel_1", TEXT, nullable=True),
        sa.Column("tel_2", TEXT, nullable=True),
        sa.Column("extra", TEXT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("global", INT, nullable=False),
        sa.Column("internal", INT, nullable=False),
        sa.Column("rel_user_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("last_call_at", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
    )
    op.create_index(
        op.f("ix_contacts_customer_id_created_at_id"), "contacts", ["customer_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_contacts_customer_id_user_id_created_at_id"),
        "contacts",
        ["customer_id", "user_id", "created_at", "id"],
        unique=False,
    )


def _counters() -> None:
    op.create_table(
        "counters",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("attribute", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("day", INT, autoincrement=False, nullable=False),
        sa.Column("n", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "resource", "attribute", "value", "day", name=op.f("pk_counters")),
        sqlite_with_rowid=False,
    )


def _customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("cc", TEXT, nullable=True),
        sa.Column("currency_iso", TEXT, nullable=True),
        sa.Column("language", TEXT, nullable=True),
        sa.Column("time_zone", TEXT, nullable=True),
        sa.Column("retention", TEXT, nullable=True),
        sa.Column("balance", INT, nullable=True),
        sa.Column("deleted_at", INT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )


def _ddis() -> None:
    op.create_table(
        "ddis",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("e164", TEXT, nullable=False),
        sa.Column("number", TEXT, nullable=True),
        sa.Column("destination", TEXT, nullable=True),
        sa.Column("campaign_id", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ddis")),
        sa.UniqueConstraint("customer_id", "e164", name=op.f("uq_ddis_customer_id_e164")),
    )
    op.create_index(op.f("ix_ddis_customer_id_campaign_id"), "ddis", ["customer_id", "campaign_id"], unique=False)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("args", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", INT, nullable=False),
        sa.Column("run_at", INT, nullable=False),
        sa.Column("lease_until", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("unique_key", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("customer_id", "kind", "unique_key", name=op.f("uq_jobs_customer_id_kind_unique_key")),
    )
    op.create_index(op.f("ix_jobs_state_run_at"), "jobs", ["state", "run_at"], unique=False)


def _mediasessions() -> None:
    op.create_table(
        "mediasessions",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("call_id", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("updated_at", INT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("src", TEXT, nullable=True),
        sa.Column("src_id", TEXT, nullable=True),
        sa.Column("src_ua", TEXT, nullable=True),
        sa.Column("dst", TEXT, nullable=True),
        sa.Column("dst_id", TEXT, nullable=True),
        sa.Column("dst_ua", TEXT, nullable=True),
        sa.Column("type", TEXT, nullable=True),
        sa.Column("quality", TEXT, nullable=True),
        sa.Column("duration", INT, nullable=False),
        sa.Column("user_id", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mediasessions")),
        sa.UniqueConstraint("customer_id", "call_id", name=op.f("uq_mediasessions_customer_id_call_id")),
    )
    op.create_index(
        op.f("ix_mediasessions_customer_id_created_at_id"),
        "mediasessions",
        ["customer_id", "created_at", "id"],
        unique=False,
    )


def _monitors() -> None:
    op.create_table(
        "monitors",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("cdr_id", INT, nullable=True),
        sa.Column("live_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("sip_endpoint_id", INT, nullable=True),
        sa.Column("cx_score", INT, nullable=True),
        sa.Column("called", TEXT, nullable=True),
        sa.Column("caller", TEXT, nullable=True),
        sa.Column("context", TEXT, nullable=True),
        sa.Column("dst", TEXT, nullable=True),
        sa.Column("dst_id", TEXT, nullable=True),
        sa.Column("dst_name", TEXT, nullable=True),
        sa.Column("src", TEXT, nullable=True),
        sa.Column("src_id", TEXT, nullable=True),
        sa.Column("src_name", TEXT, nullable=True),
        sa.Column("type", TEXT, nullable=True),
        sa.Column("sentiment", TEXT, nullable=True),
        sa.Column("summary", TEXT, nullable=True),
        sa.Column("transcript", TEXT, nullable=True),
        sa.Column("transcript_speakers", TEXT, nullable=True),
        sa.Column("metadata", TEXT, nullable=True),
        sa.Column("duration", INT, nullable=False),
        sa.Column("size", INT, nullable=False),
        sa.Column("timestamp", INT, nullable=False),
        sa.Column("blob_key", TEXT, nullable=False),
        sa.Column("source_key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitors")),
        sa.UniqueConstraint("customer_id", "source_key", name=op.f("uq_monitors_customer_id_source_key")),
    )
    op.create_index(op.f("ix_monitors_customer_id_cdr_id"), "monitors", ["customer_id", "cdr_id"], unique=False)
    op.create_index(
        op.f("ix_monitors_customer_id_timestamp_id"), "monitors", ["customer_id", "timestamp", "id"], unique=False
    )
    op.create_index(
        op.f("ix_monitors_customer_id_user_id_timestamp_id"),
        "monitors",
        ["customer_id", "user_id", "timestamp", "id"],
        unique=False,
    )


def _msdrs() -> None:
    op.create_table(
        "msdrs",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("call_id", TEXT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("duration", INT, nullable=False),
        sa.Column("media_session_id", INT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.Column("cdr_id", INT, nullable=True),
        sa.Column("src", TEXT, nullable=True),
        sa.Column("src_id", TEXT, nullable=True),
        sa.Column("src_ua", TEXT, nullable=True),
        sa.Column("dst", TEXT, nullable=True),
        sa.Column("dst_id", TEXT, nullable=True),
        sa.Column("dst_ua", TEXT, nullable=True),
        sa.Column("t_cause", TEXT, nullable=True),
        sa.Column("type", TEXT, nullable=True),
        sa.Column("quality", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_msdrs")),
        sa.UniqueConstraint("customer_id", "call_id", name=op.f("uq_msdrs_customer_id_call_id")),
    )
    op.create_index(op.f("ix_msdrs_customer_id_cdr_id"), "msdrs", ["customer_id", "cdr_id"], unique=False)
    op.create_index(
        op.f("ix_msdrs_customer_id_created_at_id"), "msdrs", ["customer_id", "created_at", "id"], unique=False
    )


def _queue_users() -> None:
    op.create_table(
        "queue_users",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("queue_id", INT, autoincrement=False, nullable=False),
        sa.Column("user_id", INT, autoincrement=False, nullable=False),
        sa.Column("status", INT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "queue_id", "user_id", name=op.f("pk_queue_users")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_queue_users_customer_id_user_id"), "queue_users", ["customer_id", "user_id"], unique=False)


def _queuegroup_queues() -> None:
    op.create_table(
        "queuegroup_queues",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("queuegroup_id", INT, autoincrement=False, nullable=False),
        sa.Column("queue_id", INT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "queuegroup_id", "queue_id", name=op.f("pk_queuegroup_queues")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_queuegroup_queues_customer_id_queue_id"),
        "queuegroup_queues",
        ["customer_id", "queue_id"],
        unique=False,
    )


def _queuegroups() -> None:
    op.create_table(
        "queuegroups",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queuegroups")),
        sa.UniqueConstraint("customer_id", "name", name=op.f("uq_queuegroups_customer_id_name")),
    )


def _queues() -> None:
    op.create_table(
        "queues",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("number", TEXT, nullable=True),
        sa.Column("ring_strategy", TEXT, nullable=True),
        sa.Column("ring_time", INT, nullable=True),
        sa.Column("skip_busy", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queues")),
        sa.UniqueConstraint("customer_id", "name", name=op.f("uq_queues_customer_id_name")),
    )


def _recovery_codes() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("user_id", INT, autoincrement=False, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "user_id", "hash", name=op.f("pk_recovery_codes")),
        sqlite_with_rowid=False,
    )


def _sequences() -> None:
    op.create_table(
        "sequences",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("next", INT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequences")),
        sqlite_with_rowid=False,
    )


def _server_secrets() -> None:
    op.create_table(
        "server_secrets",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("secret", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_server_secrets")),
        sqlite_with_rowid=False,
    )


def _sip_messages() -> None:
    op.create_table(
        "sip_messages",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("call_id", TEXT, nullable=False),
        sa.Column("captured_at_us", INT, nullable=False),
        sa.Column("transport", TEXT, nullable=False),
        sa.Column("src_ip", TEXT, nullable=False),
        sa.Column("src_port", INT, nullable=False),
        sa.Column("dst_ip", TEXT, nullable=False),
        sa.Column("dst_port", INT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sip_messages")),
        sa.UniqueConstraint(
            "customer_id", "call_id", "digest", name=op.f("uq_sip_messages_customer_id_call_id_digest")
        ),
    )
    op.create_index(
        op.f("ix_sip_messages_customer_id_call_id_captured_at_us_id"),
        "sip_messages",
        ["customer_id", "call_id", "captured_at_us", "id"],
        unique=False,
    )


def _sms() -> None:
    op.create_table(
        "sms",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("from", TEXT, nullable=True),
        sa.Column("from_id", TEXT, nullable=True),
        sa.Column("from_name", TEXT, nullable=True),
        sa.Column("to", TEXT, nullable=True),
        sa.Column("to_id", TEXT, nullable=True),
        sa.Column("to_name", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("result", TEXT, nullable=True),
        sa.Column("type", TEXT, nullable=True),
        sa.Column("user_id", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sms")),
    )
    op.create_index(op.f("ix_sms_customer_id_created_at_id"), "sms", ["customer_id", "created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_sms_customer_id_user_id_created_at_id"),
        "sms",
        ["customer_id", "user_id", "created_at", "id"],
        unique=False,
    )


def _statements() -> None:
    op.create_table(
        "statements",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("amount", INT, nullable=False),
        sa.Column("balance", INT, nullable=False),
        sa.Column("cdr_id", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
    )
    op.create_index(op.f("ix_statements_customer_id_cdr_id"), "statements", ["customer_id", "cdr_id"], unique=False)
    op.create_index(
        op.f("ix_statements_customer_id_created_at_id"), "statements", ["customer_id", "created_at", "id"], unique=False
    )


def _throttles() -> None:
    op.create_table(
        "throttles",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("failures", INT, nullable=False),
        sa.Column("blocked_until", INT, nullable=False),
        sa.Column("updated_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
        sqlite_with_rowid=False,
    )


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("id", INT, nullable=False),
        sa.Column("handle", TEXT, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("user_id", INT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("ip", TEXT, nullable=True),
        sa.Column("user_agent", TEXT, nullable=True),
        sa.Column("expiry_s", INT, nullable=True),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("last_used_at", INT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_tokens")),
        sa.UniqueConstraint("customer_id", "user_id", "name", name=op.f("uq_tokens_customer_id_user_id_name")),
        sa.UniqueConstraint("handle", name=op.f("uq_tokens_handle")),
        sqlite_with_rowid=False,
    )


def _usergroup_users() -> None:
    op.create_table(
        "usergroup_users",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("usergroup_id", INT, autoincrement=False, nullable=False),
        sa.Column("user_id", INT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "usergroup_id", "user_id", name=op.f("pk_usergroup_users")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_usergroup_users_customer_id_user_id"), "usergroup_users", ["customer_id", "user_id"], unique=False
    )


def _usergrouppolicies() -> None:
    op.create_table(
        "usergrouppolicies",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("color", TEXT, nullable=False),
        sa.Column("policies", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usergrouppolicies")),
        sa.UniqueConstraint("customer_id", "name", name=op.f("uq_usergrouppolicies_customer_id_name")),
    )


def _usergrouppolicy_usergroups() -> None:
    op.create_table(
        "usergrouppolicy_usergroups",
        sa.Column("customer_id", INT, autoincrement=False, nullable=False),
        sa.Column("usergrouppolicy_id", INT, autoincrement=False, nullable=False),
        sa.Column("usergroup_id", INT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(
            "customer_id", "usergrouppolicy_id", "usergroup_id", name=op.f("pk_usergrouppolicy_usergroups")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_usergrouppolicy_usergroups_customer_id_usergroup_id"),
        "usergrouppolicy_usergroups",
        ["customer_id", "usergroup_id"],
        unique=False,
    )


def _usergroups() -> None:
    op.create_table(
        "usergroups",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("color", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usergroups")),
        sa.UniqueConstraint("customer_id", "name", name=op.f("uq_usergroups_customer_id_name")),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("email_folded", TEXT, nullable=False),
        sa.Column("first_name", TEXT, nullable=True),
        sa.Column("last_name", TEXT, nullable=True),
        sa.Column("ext", TEXT, nullable=True),
        sa.Column("cli", TEXT, nullable=True),
        sa.Column("language", TEXT, nullable=True),
        sa.Column("active", INT, nullable=False),
        sa.Column("dnd", INT, nullable=False),
        sa.Column("is_root", INT, nullable=False),
        sa.Column("created_at", INT, nullable=False),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("visited_apps", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=True),
        sa.Column("totp_secret", TEXT, nullable=True),
        sa.Column("two_factor_auth", INT, nullable=False),
        sa.Column("totp_last_step", INT, nullable=True),
        sa.Column("audio_key", TEXT, nullable=True),
        sa.Column("audio_duration", INT, nullable=True),
        sa.Column("audio_size", INT, nullable=True),
        sa.Column("nb_sip_locations", INT, nullable=False),
        sa.Column("presence", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("customer_id", "ext", name=op.f("uq_users_customer_id_ext")),
        sa.UniqueConstraint("email_folded", name=op.f("uq_users_email_folded")),
    )
    op.create_index(op.f("ix_users_customer_id_id"), "users", ["customer_id", "id"], unique=False)


def _voicemessages() -> None:
    op.create_table(
        "voicemessages",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("customer_id", INT, nullable=False),
        sa.Column("caller", TEXT, nullable=True),
        sa.Column("callerid", TEXT, nullable=True),
        sa.Column("dialled", TEXT, nullable=True),
        sa.Column("transcript", TEXT, nullable=True),
        sa.Column("duration", INT, nullable=False),
        sa.Column("size", INT, nullable=False),
        sa.Column("extension_id", INT, nullable=True),
        sa.Column("live_id", INT, nullable=True),
        sa.Column("parent_live_id", INT, nullable=True),
        sa.Column("folder", TEXT, nullable=False),
        sa.Column("is_new", INT, nullable=False),
        sa.Column("origtime", INT, nullable=False),
        sa.Column("blob_key", TEXT, nullable=False),
        sa.Column("source_key", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voicemessages")),
        sa.UniqueConstraint("customer_id", "source_key", name=op.f("uq_voicemessages_customer_id_source_key")),
    )
    op.create_index(
        op.f("ix_voicemessages_customer_id_extension_id_origtime_id"),
        "voicemessages",
        ["customer_id", "extension_id", "origtime", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_voicemessages_customer_id_origtime_id"),
        "voicemessages",
        ["customer_id", "origtime", "id"],
        unique=False,
    )
