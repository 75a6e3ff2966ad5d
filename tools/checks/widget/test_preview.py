"""The preview page: a setting out of the URL's fragment, by whomever it was written."""

import base64
import json
from typing import Any

import pytest
from desk import Desk, configuration, texts
from visitor import Visit

Visits = Any


def fragment(config: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(config).encode()).decode().rstrip("=")


def preview(visit: Visits, desk: Desk, after: str) -> Visit:
    found: Visit = visit()
    found.goto(f"{desk.url}/callme/preview#{after}")
    return found


def own(**changes: Any) -> dict[str, Any]:
    config = configuration(**changes)
    del config["texts"]
    return config


def test_it_shows_the_setting_and_asks_the_server_nothing(visit: Visits, desk: Desk) -> None:
    found = preview(visit, desk, fragment(own(culture="pl", title="Zażółć", position="top_left")))
    found.open()
    found.get_by_role("dialog", name="Zażółć").wait_for()
    found.dialog.get_by_text(texts("pl")["test"]).wait_for()
    found.number.fill("601 234 567")
    found.press(texts("pl")["call"])
    found.until(lambda: len(found.heard()) > 2)
    assert found.heard()[:2] == ["opened", "requested"], "and it goes on by itself"
    assert desk.heard == []
    assert found.errors == []


def test_it_says_what_keeps_the_setting_from_calling(visit: Visits, desk: Desk) -> None:
    found = preview(visit, desk, fragment({**own(), "warnings": ["There are no rates <b>", 5, None]}))
    found.button.wait_for()
    assert found.page.locator("#warnings li").all_inner_texts() == ["There are no rates <b>"]
    found.shoot("preview/warnings")
    found.accessible()


def test_each_state_can_be_chosen(visit: Visits, desk: Desk) -> None:
    found = preview(visit, desk, fragment(own()))
    found.button.wait_for()
    chosen = found.get_by_label("Show", exact=True)
    names = chosen.locator("option").all_inner_texts()
    assert len(names) == 23
    for name in names:
        chosen.select_option(name)
        found.get_by_role("button", name="Show it").click()
        found.dialog.wait_for()
        if not name.startswith("Error"):
            found.shoot(f"preview/{name.lower().replace(' ', '-').replace(':', '')}")
        found.accessible()
        found.page.keyboard.press("Escape")
        found.gone()
    assert found.errors == []


def test_an_own_element(visit: Visits, desk: Desk) -> None:
    found = preview(visit, desk, fragment(own(floating_icon=False, button={"online": "Ring us", "offline": "Gone"})))
    found.get_by_role("button", name="Ring us").click()
    found.dialog.wait_for()


@pytest.mark.parametrize(
    "after",
    [
        "",
        "%%%",
        "AAAA",
        fragment(None),
        fragment([1]),
        fragment({"culture": "../../x", "position": "<b>", "countries": 7, "button": "x", "texts": {"title": "own"}}),
        fragment(
            {
                "countries": [["<b>", "44"], ["GB", "javascript:"], 5, None, ["ZZ", "999"]],
                "country": "__proto__",
                "opens_at": 1e300,
            }
        ),
        fragment(
            {
                "title": "<img src=x onerror=evil=1>",
                "message": "<script>evil=1</script>",
                "privacy_url": "javascript:evil=1",
            }
        ),
        fragment(
            {"button": {"online": "data:image/svg+xml,<svg onload='evil=1'/>", "offline": {}}, "is_available": "no"}
        ),
        fragment({"__proto__": {"is_shown": False}, "constructor": 1, "opens_at": -1, "is_available": False}),
    ],
)
def test_whatever_the_fragment_says_it_is_a_widget_and_no_script_runs(visit: Visits, desk: Desk, after: str) -> None:
    found = preview(visit, desk, after)
    found.button.click()
    found.dialog.wait_for()
    assert found.evaluate("typeof evil") == "undefined"
    assert found.dialog.get_by_role("link").count() == 0
    assert [error for error in found.errors if "Content Security Policy" in error] == []
    assert desk.heard == []


def test_another_fragment_is_another_preview(visit: Visits, desk: Desk) -> None:
    found = preview(visit, desk, fragment(own(title="One")))
    found.button.wait_for()
    with found.page.expect_event("load"):
        found.evaluate(f"setTimeout(() => {{ location.hash = '{fragment(own(title='Two'))}' }})")
    found.open()
    found.get_by_role("dialog", name="Two").wait_for()
