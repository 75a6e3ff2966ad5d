"""The files of the Call Me Back widget: how they are served, what its texts say. `tools/checks/browser` has it in a browser."""

import gzip
import json
import re
from pathlib import Path
from typing import get_args

import pytest

import ringback
from ringback.chat.talk import Code
from ringback.resources.callmeback.settings import Culture
from tests.api import Answer, Api

FOLDER = Path(ringback.__file__).parent / "web" / "widget"
CULTURES = get_args(get_args(Culture)[0])
PARTS = sorted(file.name for file in (FOLDER / "v1").iterdir())
SAME_AS_ENGLISH: dict[str, str] = {}
"""`culture.key` of texts that are rightly the English ones → why."""
PLACES = re.compile(r"\{\w+\}")


def texts(culture: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / "texts" / f"{culture}.json").read_text())
    return found


def got(api: Api, path: str, **headers: str) -> Answer:
    return api.nobody.call("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})


def test_the_script_is_small_and_every_part_of_it_too() -> None:
    for file in (FOLDER / "v1.js", *(FOLDER / "v1").iterdir()):
        assert file.stat().st_size < 20_000, file


def test_the_script_is_served_to_pages_anywhere_and_kept_for_an_hour(api: Api) -> None:
    answer = got(api, "//callme/v1.js")
    assert answer.status == 200
    assert answer.body == (FOLDER / "v1.js").read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "set-cookie" not in answer.headers


def test_who_takes_gzip_gets_it(api: Api) -> None:
    for accepted in ("gzip", "br, gzip;q=0.5", "deflate,gzip"):
        answer = got(api, "//callme/v1.js", accept_encoding=accepted)
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == (FOLDER / "v1.js").read_bytes()
    for accepted in ("", "br", "gzip;q=0", "gzip; q=0.00, br"):
        assert "content-encoding" not in got(api, "//callme/v1.js", accept_encoding=accepted).headers


def test_who_has_the_script_is_told_so(api: Api) -> None:
    plain = got(api, "//callme/v1.js").headers["etag"]
    packed = got(api, "//callme/v1.js", accept_encoding="gzip").headers["etag"]
    assert plain != packed
    assert (
        got(api, "//callme/v1.js", if_none_match=plain).status,
        got(api, "//callme/v1.js", if_none_match="*").status,
    ) == (304, 304)
    again = got(api, "//callme/v1.js", accept_encoding="gzip", if_none_match=f'"other", W/{packed}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", packed)
    assert got(api, "//callme/v1.js", if_none_match='"other"').status == 200


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_are_asked_for_each_time_because_they_change_together(api: Api, name: str) -> None:
    answer = got(api, f"//callme/v1/{name}")
    assert (answer.status, answer.body) == (200, (FOLDER / "v1" / name).read_bytes())
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["access-control-allow-origin"] == "*", "modules are loaded by CORS"


@pytest.mark.parametrize(
    "path",
    [
        "v1/nothing.js",
        "v1/..",
        "v1/v1.js",
        "v1/..%2Fv1.js",
        "v1/panel.py",
        "preview/en.js",
        "preview/xx.json",
        "v1/%00",
    ],
)
def test_no_other_file_is_served(api: Api, path: str) -> None:
    assert got(api, f"//callme/{path}").status == 404


def test_the_preview_runs_nothing_but_its_own_scripts(api: Api) -> None:
    for path in (
        "//callme/preview",
        "//callme/preview/page.js",
        "//callme/preview/style.css",
        "//callme/preview/en.json",
    ):
        answer = got(api, path)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src https: data:;"
        )
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    page = (FOLDER / "preview" / "page.html").read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", page) == []


def test_no_file_makes_markup_of_text_or_keeps_cookies() -> None:
    barred = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.cookie|localStorage"
    for file in FOLDER.rglob("*.js"):
        assert re.findall(barred, file.read_text()) == [], file


def test_there_are_texts_for_each_culture() -> None:
    assert sorted(file.stem for file in (FOLDER / "texts").iterdir()) == sorted(CULTURES)


@pytest.mark.parametrize("culture", CULTURES)
def test_a_culture_has_every_text_and_says_it_in_its_own_words(culture: str) -> None:
    english, own = texts("en"), texts(culture)
    assert list(own) == list(english)
    for key, text in own.items():
        assert text.strip() == text != ""
        assert PLACES.findall(text) == PLACES.findall(english[key]), key
        assert not re.search(r"[<>&]", text), key
    same = {f"{culture}.{key}" for key in own if own[key] == english[key]} if culture != "en" else set()
    assert same == {each for each in SAME_AS_ENGLISH if each.startswith(f"{culture}.")}


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    code = "".join(file.read_text() for file in (FOLDER / "v1.js", *(FOLDER / "v1").iterdir()))
    named = set(re.findall(r'"([a-z_]+)"', code)) | set(re.findall(r"\b([a-z_]+): \"", code))
    phases = {f"{name}_{side}" for name in ("busy", "no_answer") for side in ("agent", "visitor")} | {
        "failed",
        "refused",
        "waiting",
    }
    errors = {"number", "country", "later", "closed", "unavailable", "challenge", "refused", "network", "empty", "lost"}
    known = named | phases | {f"error_{each}" for each in errors}
    known |= {f"{each}_text" for each in known} | {"connected", "ended"}
    known |= {f"chat_{each}" for each in re.findall(r'"([a-z_]+)"', (FOLDER / "chat.v1.js").read_text())}
    known |= {f"chat_error_{each}" for each in get_args(Code)}
    assert [key for key in texts("en") if key not in known and key.removesuffix("_text") not in known] == []
    asked = set(re.findall(r'this\.text\("([a-z_]+)"', code)) | set(re.findall(r'this\.plain\("([a-z_]+)"', code))
    assert asked <= texts("en").keys()
