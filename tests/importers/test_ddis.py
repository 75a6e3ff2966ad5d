"""The numbers of a company out of a CSV."""

from pathlib import Path

from ringback.importers import Summary
from tests.api import Api
from tests.importers.master_csv import run, written


def imported(api: Api, folder: Path, *lines: str) -> Summary:
    return run(api, "ddis", written(folder, *(f"{line}\n" for line in lines), name="ddis.csv"))


def test_numbers_lead_to_users_and_queues_by_their_names(api: Api, tmp_path: Path) -> None:
    queue = api.admin.post("/queues", {"name": "Sales"}).data["id"]
    summary = imported(
        api,
        tmp_path,
        "E164,Number,Destination",
        "020 7946 0100,020 7946 0100,ANN@customer1.example",
        "+442079460101,,103",
        "00442079460102,,sales",
        "442079460103,,IVR7",
        "442079460104,,",
    )
    assert (summary.read, summary.new, summary.refused) == (5, 5, [])
    found = [(each["e164"], each["number"], each["destination"]) for each in api.admin.listed("/ddis", sort="e164")]
    assert found == [
        ("442079460100", "020 7946 0100", str(api.ann.user_id)),
        ("442079460101", "442079460101", str(api.ann.user_id)),
        ("442079460102", "442079460102", f"Queue{queue}"),
        ("442079460103", "442079460103", "IVR7"),
        ("442079460104", "442079460104", None),
    ]
    assert len(api.ann.listed("/ddis")) == 2


def test_a_second_run_adds_nothing_and_changes_nothing(api: Api, tmp_path: Path) -> None:
    imported(api, tmp_path, "did;description", "442079460100;Main")
    before = api.admin.listed("/ddis")
    again = imported(api, tmp_path, "did;description", "020 7946 0100;Changed")
    assert (again.new, again.known) == (0, 1)
    assert api.admin.listed("/ddis") == before


def test_what_is_no_number_or_leads_nowhere_is_refused(api: Api, tmp_path: Path) -> None:
    summary = imported(
        api, tmp_path, "e164,destination", "101,", ",ann", "442079460100,nobody@a.example", "442079460101,"
    )
    assert summary.new == 1
    assert [(each.where, each.reason) for each in summary.refused] == [
        ("line 2", "e164 '101': this is no number of the public network"),
        ("line 3", "e164 is missing"),
        ("line 4", "destination 'nobody@a.example': there is no such user"),
    ]


def test_another_customer_may_have_the_number_too(api: Api, tmp_path: Path) -> None:
    """Numbers are unique within a customer, as POST /ddis has it."""
    imported(api, tmp_path, "e164", "442079460100")
    file = tmp_path / "ddis.csv"
    assert run(api, "ddis", file, customer=api.other).new == 1
    assert len(api.stranger.listed("/ddis")) == 1
