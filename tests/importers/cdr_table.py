"""Tables of calls as Asterisk's back ends have them, filled with the calls of `master_csv`."""

from tests.importers.master_csv import CALL, line

PGSQL = """
    CREATE TABLE cdr (
        calldate timestamp NOT NULL, clid varchar(80) NOT NULL, src varchar(80) NOT NULL, dst varchar(80) NOT NULL,
        dcontext varchar(80) NOT NULL, channel varchar(80) NOT NULL, dstchannel varchar(80) NOT NULL,
        lastapp varchar(80) NOT NULL, lastdata varchar(80) NOT NULL, duration integer NOT NULL, billsec integer NOT NULL,
        disposition varchar(45) NOT NULL, amaflags integer NOT NULL, accountcode varchar(20) NOT NULL,
        uniqueid varchar(150) NOT NULL, userfield varchar(255) NOT NULL
    )
"""
"""After Asterisk's `contrib/realtime/postgresql` and `cdr_pgsql`'s documentation."""
FREEPBX = """
    CREATE TABLE cdr (
        calldate datetime NOT NULL DEFAULT '0000-00-00 00:00:00', clid varchar(80) NOT NULL DEFAULT '',
        src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '', dcontext varchar(80) NOT NULL DEFAULT '',
        channel varchar(80) NOT NULL DEFAULT '', dstchannel varchar(80) NOT NULL DEFAULT '',
        lastapp varchar(80) NOT NULL DEFAULT '', lastdata varchar(80) NOT NULL DEFAULT '',
        duration int(11) NOT NULL DEFAULT 0, billsec int(11) NOT NULL DEFAULT 0,
        disposition varchar(45) NOT NULL DEFAULT '', amaflags int(11) NOT NULL DEFAULT 0,
        accountcode varchar(20) NOT NULL DEFAULT '', uniqueid varchar(32) NOT NULL DEFAULT '',
        userfield varchar(255) NOT NULL DEFAULT '', did varchar(50) NOT NULL DEFAULT '',
        recordingfile varchar(255) NOT NULL DEFAULT '', cnum varchar(80) NOT NULL DEFAULT '',
        linkedid varchar(32) NOT NULL DEFAULT '', peeraccount varchar(80) NOT NULL DEFAULT '', sequence int(11) NOT NULL DEFAULT 0,
        KEY calldate (calldate), KEY uniqueid (uniqueid)
    ) DEFAULT CHARSET=utf8mb4
"""
"""As FreePBX makes it in its database asteriskcdrdb."""
NAMES = (
    *(
        "calldate",
        "clid",
        "src",
        "dst",
        "dcontext",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "duration",
        "billsec",
    ),
    *("disposition", "amaflags", "accountcode", "uniqueid", "userfield"),
)


def row(**changes: str) -> list[str]:
    """A call in the order of `NAMES`."""
    told = {**CALL, "amaflags": "3", **changes}
    return [told["start"] if name == "calldate" else told[name] for name in NAMES]


def calls(n: int) -> list[dict[str, str]]:
    """What is different in each of n calls."""
    return [
        {"uniqueid": f"{1_795_341_600 + i}.{i}", "src": str(101 + i % 4), "duration": str(60 + i % 7)} for i in range(n)
    ]


def inserted(places: str = "%s") -> str:
    return f"INSERT INTO cdr ({', '.join(NAMES)}) VALUES ({', '.join([places] * len(NAMES))})"


def lines(n: int) -> list[str]:
    """The same calls as Master.csv has them."""
    return [line(**changes) for changes in calls(n)]
