"""Users out of the CSV files that PBXs and people write."""

from pathlib import Path

import pytest

from ringback.errors import UsageError
from ringback.identity import accounts
from tests.api import Api
from tests.importers.master_csv import run, written
from tests.people import PASSWORD, visitor

OURS = "email,first_name,last_name,ext,role,cli,language,active\n"


def users_csv(folder: Path, *lines: str) -> Path:
    return written(folder, *(f"{line}\n" for line in lines), name="users.csv")


def test_users_come_in_with_what_the_file_says(api: Api, tmp_path: Path) -> None:
    file = users_csv(
        tmp_path,
        OURS.strip(),
        "Eve@Acme.example,Eve,Müller,201,reception,+44 20 7946 0201,en-us,yes",
        "f@a.example,F,G,202,,,,no",
    )
    summary = run(api, "users", file)
    assert (summary.read, summary.new, summary.known, summary.refused) == (2, 2, 0, [])
    eve, gone = api.admin.listed("/users", ("ext", "in", ["201", "202"]), sort="ext")
    assert (eve["email"], eve["first_name"], eve["last_name"]) == ("Eve@Acme.example", "Eve", "Müller")
    assert (eve["roles"], eve["cli"], eve["active"], eve["is_root"]) == (["reception"], "442079460201", True, False)
    assert (gone["roles"], gone["active"]) == (["user"], False)
    entries = api.admin.listed("/auditlog", ("action", "eq", "create"), ("object_class", "eq", "User"))
    assert {(entry["user_name"], entry["object_id"]) for entry in entries} == {
        ("import", eve["id"]),
        ("import", gone["id"]),
    }


def test_nobody_can_log_in_as_an_imported_user(api: Api, tmp_path: Path) -> None:
    run(api, "users", users_csv(tmp_path, OURS.strip(), "eve@a.example,Eve,M,201,,,,"))
    for password in ("", "eve@a.example", "201", PASSWORD):
        assert visitor(api).post("/login", {"email": "eve@a.example", "password": password}).status == 400
    account = api.services.database.read(lambda db: accounts.by_email(db, "eve@a.example"))
    assert account is not None  # the reset mail finds the user
    assert account.password_hash is None


def test_a_freepbx_export_names_its_columns_otherwise(api: Api, tmp_path: Path) -> None:
    header = "extension,password,name,voicemail,outboundcid,id,tech,voicemail_email"
    file = users_csv(
        tmp_path, header, '301,s3cret,Ada King Lovelace,novm,"""Ada"" <+442079460301>",301,pjsip,ada@a.example'
    )
    assert run(api, "users", file).new == 1
    (ada,) = api.admin.listed("/users", ("ext", "eq", "301"))
    assert (ada["first_name"], ada["last_name"], ada["cli"]) == ("Ada King", "Lovelace", "442079460301")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_too(api: Api, tmp_path: Path, delimiter: str) -> None:
    lines = ("user_email,extension,contact_name_given,contact_name_family", 'eve@a.example,201,Eve,"M, jr"')
    file = users_csv(tmp_path, *(line.replace(",", delimiter, 3) for line in lines))
    assert run(api, "users", file).refused == []
    assert api.admin.listed("/users", ("ext", "eq", "201"))[0]["last_name"].startswith("M")


def test_an_import_adds_and_changes_nobody(api: Api, tmp_path: Path) -> None:
    run(api, "users", users_csv(tmp_path, OURS.strip(), "eve@a.example,Eve,M,201,,,,"))
    before = api.admin.listed("/users")
    again = run(api, "users", users_csv(tmp_path, OURS.strip(), "EVE@a.example,Eva,N,209,administrator,,,"))
    assert (again.read, again.new, again.known, again.refused) == (1, 0, 1, [])
    assert api.admin.listed("/users") == before


def test_what_cannot_be_used_is_told_with_its_line_and_the_rest_goes_in(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    lines = [
        OURS.strip().encode(),
        b"no-address,A,B,211,,,,",
        b"b@a.example,A,B,101,,,,",  # the extension is the administrator's
        b"stranger@customer2.example,A,B,213,,,,",
        b"d@a.example,A,,214,,,,",
        b"e@a.example,A,B,215,owner,,,",
        b"f@a.example,A,B,216,,,,perhaps",
        b"g@a.example,\xff,B,217,,,,",
        b"h@a.example,A\0,B,218,,,,",
        b"i@a.example,A,B",
        b"j@a.example,A,B,21x,,,english,",
        b"k@a.example,A,B,220,,,,",
    ]
    file.write_bytes(b"\n".join(lines))
    summary = run(api, "users", file)
    assert (summary.read, summary.new) == (11, 1)
    reasons = {refusal.where: refusal.reason for refusal in summary.refused}
    assert reasons == {
        "line 2": "email 'no-address': this value is not valid",
        "line 3": "ext '101': this value is already used",
        "line 4": "email 'stranger@customer2.example': a user of another customer on this server has this address",
        "line 5": "last_name is missing",
        "line 6": "roles 'owner': this value is not valid",
        "line 7": "active 'perhaps': write true or false",
        "line 8": "not UTF-8: save the file as CSV in UTF-8",
        "line 9": "holds a NUL byte",
        "line 10": "3 columns instead of 8",
        "line 11": "ext '21x': this value is not valid; language 'english': this value is not valid",
    }


@pytest.mark.parametrize("content", [b"", b"ann@a.example,Ann,Smith,101\n", "email,ext\n".encode("utf-16")])
def test_a_file_without_a_header_is_not_begun(api: Api, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(content)
    with pytest.raises(UsageError):
        run(api, "users", file)
