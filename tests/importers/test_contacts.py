"""Address books into contacts of the whole company."""

import time
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import UsageError
from tests.api import Api
from tests.importers.master_csv import inbound, run, written

CARDS = """BEGIN:VCARD
VERSION:3.0
UID:urn:uuid:4fbe8971
N:Smith;Ann;Mary;Dr.;
FN:Dr. Ann Mary Smith
ORG:Acme\\, Inc.;Sales
item1.TEL;TYPE=CELL:+44 7700 900123
TEL;TYPE=WORK,VOICE:020 7946 0001
TEL;TYPE=WORK,FAX:020 7946 0009
EMAIL;TYPE=INTERNET:ann@smith.example
NOTE:likes tea\\nand cake
CATEGORIES:Friends,VIP
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Taxi
TEL;VALUE=uri;PREF=1;TYPE="voice,home":tel:+49-30-123456;ext=12
TEL;VALUE=uri;TYPE=cell:tel:+49-170-123456
END:VCARD
"""


def vcf(folder: Path, text: str) -> Path:
    return written(folder, text, name="book.vcf")


def listed(api: Api) -> list[dict[str, Any]]:
    return api.admin.listed("/contacts", sort="id")


def said(contact: dict[str, Any]) -> dict[str, Any]:
    """What is not null, without ids and dates."""
    kept = {name: each for name, each in contact.items() if each not in (None, [], False)}
    return {name: each for name, each in kept.items() if name not in ("id", "created_at", "global")}


def test_cards_become_contacts_that_everybody_sees(api: Api, tmp_path: Path) -> None:
    summary = run(api, "contacts", vcf(tmp_path, CARDS))
    assert (summary.read, summary.new, summary.refused) == (2, 2, [])
    assert summary.warnings == ["1 × a fax or pager number was left out"]
    ann, taxi = listed(api)
    assert said(ann) == {
        "first_name": "Ann Mary",
        "last_name": "Smith",
        "company": "Acme, Inc.",
        "mobile": "447700900123",
        "tel": "02079460001",
        "email": "ann@smith.example",
        "notes": "likes tea\nand cake",
        "labels": ["Friends", "VIP"],
    }
    assert said(taxi) == {"first_name": "Taxi", "tel": "4930123456", "mobile": "49170123456", "ext": "12"}
    assert api.bob.listed("/contacts", sort="id") == [ann, taxi]


def test_google_and_outlook_name_their_columns_otherwise(api: Api, tmp_path: Path) -> None:
    google = (
        "First Name,Middle Name,Last Name,Organization Name,Notes,Labels,E-mail 1 - Label,E-mail 1 - Value,"
        "Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value\n"
        "Ann,,Smith,Acme,hi,* myContacts ::: VIP,* Work,ann@a.example,Mobile,+44 7700 900123,Work,020 7946 0001 ::: 020 7946 0002\n"
    )
    outlook = (
        "Title;First Name;Last Name;Company;Business Phone;Home Phone;Mobile Phone;Business Fax;E-mail Address;Categories\n"
        ";Bob;Jones;;020 7946 0003;;07700 900124;020 7946 0009;bob@a.example;Friends;\n".replace("Friends;", "Friends")
    )
    for text in (google, outlook):
        assert run(api, "contacts", written(tmp_path, text, name="book.csv")).new == 1
    ann, bob = listed(api)
    assert said(ann) == {
        "first_name": "Ann",
        "last_name": "Smith",
        "company": "Acme",
        "notes": "hi",
        "labels": ["VIP"],
        "email": "ann@a.example",
        "mobile": "447700900123",
        "tel": "02079460001",
        "tel_1": "02079460002",
    }
    assert (bob["tel"], bob["mobile"], bob["email"], bob["labels"]) == (
        "02079460003",
        "07700900124",
        "bob@a.example",
        ["Friends"],
    )


def test_our_own_names_of_attributes_say_where_each_number_goes(api: Api, tmp_path: Path) -> None:
    header = "id,type,company,first_name,last_name,ext,mobile,mobile_1,tel,tel_2,group_name,labels,notes"
    line = '7,partner,Acme,Ann,Smith,12,1,2,3,4,G,"A,B",n'
    run(api, "contacts", written(tmp_path, f"{header}\n{line}\n", name="c.csv"))
    (ann,) = listed(api)
    assert (ann["type"], ann["ext"], ann["group_name"], ann["labels"]) == ("partner", "12", "G", ["A", "B"])
    assert [ann[name] for name in ("mobile", "mobile_1", "mobile_2", "tel", "tel_1", "tel_2")] == [
        "1",
        "2",
        None,
        "3",
        None,
        "4",
    ]


def test_a_second_run_adds_nothing_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    run(api, "contacts", vcf(tmp_path, CARDS))
    ann, _ = listed(api)
    api.admin.patch(f"/contacts/{ann['id']}", {"first_name": "Anna"})
    before = listed(api)
    changed = CARDS.replace("likes tea", "likes coffee")  # known by its UID
    summary = run(api, "contacts", vcf(tmp_path, changed + CARDS))
    assert (summary.read, summary.new, summary.known) == (4, 0, 4)
    assert listed(api) == before


def test_another_customer_has_contacts_of_its_own(api: Api, tmp_path: Path) -> None:
    run(api, "contacts", vcf(tmp_path, CARDS))
    assert run(api, "contacts", vcf(tmp_path, CARDS), customer=api.other).new == 2
    assert len(listed(api)) == len(api.stranger.listed("/contacts")) == 2


def test_calls_that_came_before_are_not_renamed_and_later_ones_are(api: Api, tmp_path: Path) -> None:
    run(api, "asterisk-cdr", written(tmp_path, inbound(src="447700900123")))
    run(api, "contacts", vcf(tmp_path, CARDS))
    run(api, "asterisk-cdr", written(tmp_path, inbound(src="447700900123", uniqueid="1795341999.1")))
    before, after = api.admin.listed("/cdrs", sort="id")
    assert (before["src_name"], after["src_name"]) == (None, "Ann Mary Smith")


def test_what_cannot_be_used_is_told_with_its_line(api: Api, tmp_path: Path) -> None:
    cards = (
        "BEGIN:VCARD\nNOTE:nobody\nEND:VCARD\nBEGIN:VCARD\nKIND:group\nFN:All\nEND:VCARD\n"
        f"BEGIN:VCARD\nFN:{'x' * 300}\nEND:VCARD\nBEGIN:VCARD\nFN:a\0\nEND:VCARD\nBEGIN:VCARD\nFN:Ann\nEND:VCARD\nBEGIN:VCARD\n"
    )
    summary = run(api, "contacts", vcf(tmp_path, cards))
    assert (summary.read, summary.new) == (6, 1)
    assert [(each.where, each.reason) for each in summary.refused] == [
        ("line 1", "neither a name nor a number"),
        ("line 4", "a group of contacts, no contact"),
        ("line 8", f"first_name '{'x' * 60}': this value is not valid"),
        ("line 11", "holds a NUL byte"),
        ("line 17", "a card that does not end"),
    ]


def test_what_there_is_no_room_for_is_told(api: Api, tmp_path: Path) -> None:
    numbers = "".join(f"TEL;TYPE=home:020 7946 000{i}\n" for i in range(5))
    text = f"BEGIN:VCARD\nFN:Ann\n{numbers}TEL:+44 20 7946 0001\nEMAIL:a@a.example\nEMAIL:b@a.example\nCATEGORIES:{'x' * 51},A\nEND:VCARD\n"
    summary = run(api, "contacts", vcf(tmp_path, text))
    assert sorted(summary.warnings) == [
        "1 × a category was left out: it is too long, or one too many",
        "1 × an e-mail address beyond the first was left out",
        "3 × a number beyond three of its kind was left out",
    ]
    assert listed(api)[0]["labels"] == ["A"]


def test_a_file_that_is_no_address_book_is_not_begun(api: Api, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(api, "contacts", written(tmp_path, "a,b\nc,d\n", name="c.csv"))


def test_ten_thousand_cards_take_seconds(api: Api, tmp_path: Path) -> None:
    file = vcf(tmp_path, "".join(f"BEGIN:VCARD\nFN:Person {i}\nTEL:+4420{i:08}\nEND:VCARD\n" for i in range(10_000)))
    before = time.perf_counter()
    assert run(api, "contacts", file).new == 10_000
    assert time.perf_counter() - before < 30
