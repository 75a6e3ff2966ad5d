"""Notes on CDRs: written by whoever may see the call, deleted by the author or an administrator."""

from tests.api import Api
from tests.clock import TestClock
from tests.test_cdrs import add, call


def anns_call(api: Api) -> int:
    (cdr_id,) = add(api, call(1_000_000_000, user_id=api.ann.user_id))
    return cdr_id


def test_notes_are_listed_newest_first_and_counted_with_the_cdr(api: Api, clock: TestClock) -> None:
    cdr_id = anns_call(api)
    first = api.ann.post(f"/cdrs/{cdr_id}/notes", {"text": "Call back"})
    assert first.status == 201
    assert list(first.data) == ["id", "cdr_id", "user_id", "user_name", "text", "created_at"]
    assert (first.data["user_id"], first.data["user_name"]) == (api.ann.user_id, "Ann Tester")
    clock.advance(60)
    api.admin.post(f"/cdrs/{cdr_id}/notes", {"text": "Done"})
    answer = api.ann.get(f"/cdrs/{cdr_id}/notes")
    assert [note["text"] for note in answer.data] == ["Done", "Call back"]
    assert answer.json["total"] == 2
    assert [row["id"] for row in api.admin.listed("/cdrs", ("nb_notes", "eq", 2))] == [cdr_id]
    assert api.ann.delete(f"/cdrs/{cdr_id}/notes/{first.data['id']}").status == 204
    assert api.admin.get("/cdrs", filter='[{"property":"nb_notes","operator":"eq","value":2}]').json["total"] == 0
    assert api.admin.get(f"/cdrs/{cdr_id}").data["nb_notes"] == 1


def test_a_note_has_a_text_within_bounds(api: Api) -> None:
    path = f"/cdrs/{anns_call(api)}/notes"
    for body in ({}, {"text": ""}, {"text": " \n"}, {"text": None}, {"text": "x" * 10_001}, {"text": "a\0b"}):
        refused = api.ann.post(path, body)
        assert (refused.status, refused.fields) == (400, ["text"]), body
    assert api.ann.post(path, {"text": "x" * 10_000}).status == 201


def test_only_the_author_or_an_administrator_deletes_a_note(api: Api) -> None:
    (cdr_id,) = add(api, call(1_000_000_000, user_id=api.ann.user_id, dst_id=str(api.bob.user_id)))
    one, two = (api.ann.post(f"/cdrs/{cdr_id}/notes", {"text": text}).data["id"] for text in ("one", "two"))
    assert api.bob.delete(f"/cdrs/{cdr_id}/notes/{one}").status == 403
    assert api.stranger.delete(f"/cdrs/{cdr_id}/notes/{one}").status == 404
    other = anns_call(api)
    assert api.ann.delete(f"/cdrs/{other}/notes/{one}").status == 404
    assert api.ann.delete(f"/cdrs/{cdr_id}/notes/{one}").status == 204
    assert api.ann.delete(f"/cdrs/{cdr_id}/notes/{one}").status == 404
    assert api.admin.delete(f"/cdrs/{cdr_id}/notes/{two}").status == 204


def test_who_may_not_see_the_call_sees_no_notes(api: Api) -> None:
    cdr_id = anns_call(api)
    for client, status in ((api.bob, 403), (api.reception, 403), (api.stranger, 404), (api.nobody, 401)):
        assert client.get(f"/cdrs/{cdr_id}/notes").status == status
        assert client.post(f"/cdrs/{cdr_id}/notes", {"text": "x"}).status == status
