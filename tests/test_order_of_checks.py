"""What is told first of a request that is wrong in several ways: 401, 404 / 405, 413 / 415, 404 / 403 of the record, 400."""

from ringback.rest.asgi import MAX_BODY
from tests.api import Api, Client

TEXT = {"content-type": "text/plain"}
HUGE = b" " * (MAX_BODY + 1)


def refused(client: Client, method: str, path: str, body: bytes = b"{", headers: dict[str, str] | None = None) -> int:
    return client.call(method, path, body, headers=headers).status


def test_without_a_token_nothing_else_is_told(api: Api) -> None:
    for path in ("/monitors/1", "/cdrs", "/nowhere"):
        assert refused(api.nobody, "PATCH", path) == 401
        assert refused(api.nobody, "PATCH", path, HUGE) == 401
        assert refused(api.nobody, "PATCH", path, headers=TEXT) == 401


def test_the_route_comes_before_the_body(api: Api) -> None:
    for body in (b"{", HUGE):
        assert refused(api.admin, "PATCH", "/nowhere", body, TEXT) == 404
        assert refused(api.admin, "PUT", "/cdrs", body, TEXT) == 405


def test_size_and_type_come_before_the_record_and_its_content_last(api: Api) -> None:
    assert refused(api.admin, "PATCH", "/monitors/1", HUGE) == 413
    assert refused(api.admin, "PATCH", "/monitors/1", headers=TEXT) == 415
    assert refused(api.admin, "PATCH", "/monitors/1") == 404
    assert refused(api.admin, "PATCH", "/cdrs") == 400


def test_login_needs_no_token_to_be_told_of_its_body(api: Api) -> None:
    assert refused(api.nobody, "POST", "/login", headers=TEXT) == 415
    assert refused(api.nobody, "POST", "/login", HUGE) == 413
