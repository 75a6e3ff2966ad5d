"""Several requests for the same rows at the same moment: each counts once, none is refused for the others' sake."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ringback import doctor
from tests.api import Answer, Api
from tests.recordings import add_monitor, add_voicemessage
from tests.test_cdrs import add, call


def at_once(requests: Sequence[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(8) as threads:
        return [future.result() for future in [threads.submit(each) for each in requests]]


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def wrong_totals(api: Api) -> list[str]:
    return [text for level, text in doctor.of_counters(api.services) if level is not doctor.Level.OK]


def test_bulk_changes_of_the_same_rows_in_any_order_all_happen(api: Api) -> None:
    ids = add(api, *(call(1_700_000_000 + n) for n in range(12)))
    orders = [random.Random(seed).sample(ids, len(ids)) for seed in range(12)]
    bodies = [[{"id": each, "info": f"request {number}"} for each in order] for number, order in enumerate(orders)]
    assert statuses(at_once([partial(api.admin.patch, "/cdrs", body) for body in bodies])) == {200: len(bodies)}
    assert len({cdr["info"] for cdr in api.admin.listed("/cdrs")}) == 1, "two requests have mixed"


def test_what_several_delete_at_once_is_taken_from_the_totals_once(api: Api) -> None:
    monitors = [add_monitor(api, b"audio") for _ in range(6)]
    found = statuses(at_once([partial(api.admin.delete, f"/monitors/{each}") for each in monitors for _ in range(4)]))
    assert found == {204: len(monitors), 404: 3 * len(monitors)}
    add(api, *(call(1_700_000_000 + n, user_id=api.ann.user_id) for n in range(40)))
    wipes = [partial(api.admin.delete, "/cdrs") for _ in range(4)]
    assert statuses(at_once(wipes)) == {204: 4}
    assert api.admin.get("/cdrs").json["total"] == api.ann.get("/cdrs").json["total"] == 0
    assert api.admin.get("/monitors").json["total"] == 0
    assert wrong_totals(api) == []


def test_calls_may_come_in_while_others_are_wiped(api: Api) -> None:
    def come_in(lot: int) -> Answer:
        add(api, *(call(1_700_000_000 + lot + n * 86_400, user_id=api.ann.user_id) for n in range(50)))
        return api.admin.delete("/cdrs")

    assert statuses(at_once([partial(come_in, lot) for lot in range(60)])) == {204: 60}
    assert api.admin.get("/cdrs").json["total"] == 0
    assert wrong_totals(api) == []


def test_moves_of_one_message_at_once_leave_right_totals(api: Api) -> None:
    message = add_voicemessage(api, b"audio")
    folders = ("Old", "Work", "INBOX", "Urgent") * 6
    moves = [partial(api.ann.patch, "/voicemessages", [{"id": message, "folder": each}]) for each in folders]
    assert statuses(at_once(moves)) == {200: len(moves)}
    assert wrong_totals(api) == []


def test_notes_are_counted_once_however_many_delete_them(api: Api) -> None:
    (cdr,) = add(api, call(1_700_000_000))
    path = f"/cdrs/{cdr}/notes"
    kept, *notes = [api.admin.post(path, {"text": "Called back."}).data["id"] for _ in range(6)]
    found = statuses(at_once([partial(api.admin.delete, f"{path}/{each}") for each in notes for _ in range(4)]))
    assert found == {204: len(notes), 404: 3 * len(notes)}
    assert [note["id"] for note in api.admin.listed(path)] == [kept]
    assert api.admin.get(f"/cdrs/{cdr}").data["nb_notes"] == 1


def test_the_members_of_a_team_may_be_set_by_several_at_once(api: Api) -> None:
    team = api.admin.post("/usergroups", {"name": "Sales"}).data["id"]
    queue = api.admin.post("/queues", {"name": "Sales"}).data["id"]
    members = {"users": [api.ann.user_id, api.bob.user_id]}
    for path in (f"/usergroups/{team}", f"/queues/{queue}"):
        assert statuses(at_once([partial(api.admin.patch, path, members) for _ in range(12)])) == {200: 12}
        assert api.admin.get(path).data["users"] == members["users"]
