"""Everybody can use it: with a keyboard, a screen reader, a small window, enlarged, in the dark, without motion."""

from typing import Any

import pytest
from desk import KEY, Desk, Site, configuration, texts
from visitor import Visit

Visits = Any
EN = texts("en")
PICTURE = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='90' height='40'/%3E"
PROGRESS = [
    {"state": "REQUESTED"},
    {"state": "CALLING", "side": "agent"},
    {"state": "CALLING", "side": "visitor"},
    {"state": "CONNECTED"},
    {"state": "ENDED"},
    {"state": "FAILED", "side": "visitor", "reason": "busy"},
    {"state": "FAILED", "side": "agent", "reason": "no_answer"},
    {"state": "REFUSED"},
    {"state": "OFFLINE"},
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_forms(visit: Visits, scheme: str) -> None:
    found: Visit = visit(color_scheme=scheme).go()
    found.button.wait_for()
    found.accessible()
    found.open()
    found.accessible()
    found.press(EN["call"])
    found.accessible()
    found.press(EN["later_instead"])
    found.dialog.get_by_label(EN["day"]).select_option(index=2)
    found.accessible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_progress(visit: Visits, desk: Desk, scheme: str) -> None:
    for state in PROGRESS:
        desk.state = {"side": None, "reason": None, **state}
        found: Visit = visit(color_scheme=scheme).go().ask()
        found.page.wait_for_function("document.querySelector('ringback-widget').shadowRoot.querySelector('.status h3')")
        found.accessible()


def test_axe_finds_nothing_in_own_elements(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(button={"online": PICTURE, "offline": None})
    site.show(
        desk, "<main><h1>A shop</h1><div data-ringback-button></div><button data-ringback-button></button></main>"
    )
    found: Visit = visit().go()
    found.locator("button[data-ringback-button][aria-haspopup]").wait_for()
    found.accessible()


def test_the_keyboard_alone(visit: Visits) -> None:
    found: Visit = visit().go()
    found.button.wait_for()
    keys = found.page.keyboard
    keys.press("Tab")
    found.has_focus("open")
    keys.press("Enter")
    found.number.wait_for()
    found.has_focus("number")
    keys.type("02079460000")
    keys.press("Enter")
    found.said(EN["waiting"])
    found.has_focus("status")
    keys.press("Tab")
    keys.press("Space")
    found.said(EN["cancelled"])
    keys.press("Tab")
    keys.press("Enter")
    found.has_focus("number")
    keys.press("Escape")
    found.gone()
    found.has_focus("open")


def test_the_focus_stays_in_the_dialog(visit: Visits, site: Site, desk: Desk) -> None:
    site.show(desk, "<main><h1>A shop</h1><a href='#a'>One</a><button>Two</button><input aria-label='Three'></main>")
    found: Visit = visit().go().open()
    seen = []
    for key in ["Tab"] * 9 + ["Shift+Tab"] * 9:
        found.page.keyboard.press(key)
        seen.append(found.evaluate("document.activeElement.tagName"))
    assert set(seen) <= {"RINGBACK-WIDGET", "BODY"}, "BODY: on its way round through the browser's own controls"
    assert seen.count("RINGBACK-WIDGET") >= 14


def test_the_focus_is_always_seen(visit: Visits) -> None:
    found: Visit = visit().go().open()
    for _ in range(7):
        found.page.keyboard.press("Tab")
        width = found.evaluate(
            """() => { let at = document.activeElement; while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
            if (at === document.body) return 3;
            const around = [at, at.closest('.code'), at.closest('.field')].filter(Boolean);
            return Math.max(...around.map((each) => getComputedStyle(each).outlineStyle === 'solid' ? parseFloat(getComputedStyle(each).outlineWidth) : 0)) }"""
        )
        assert width >= 2


def test_progress_is_told_to_screen_readers(visit: Visits, desk: Desk) -> None:
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])
    status = found.dialog.get_by_role("status")
    same = status.element_handle()
    desk.state = {"state": "CONNECTED", "side": None, "reason": None}
    found.said(EN["connected"])
    assert found.evaluate("(element) => element.isConnected", same), "a live region that is replaced is not read out"
    assert found.dialog.locator(".time").get_attribute("aria-hidden") == "true", "or each second would be read out"


def test_names_and_language(visit: Visits, desk: Desk) -> None:
    desk.config[KEY] = configuration("fr", title="عنوان")
    found: Visit = visit().go().open()
    assert found.get_by_role("dialog", name="عنوان").count() == 1
    assert found.locator("ringback-widget").get_attribute("lang") == "fr"
    assert found.dialog.locator("h2").evaluate("(each) => getComputedStyle(each).direction") == "rtl"
    assert found.number.get_attribute("autocomplete") == "tel"


@pytest.mark.parametrize("size", [(320, 568), (320, 256), (1280, 400)], ids=["phone", "400 %", "flat"])
@pytest.mark.parametrize("culture", ["en", "de", "pl", "fr"])
def test_small_windows_lose_nothing(visit: Visits, desk: Desk, size: tuple[int, int], culture: str) -> None:
    own = texts(culture)
    desk.config[KEY] = configuration(culture, is_available=False, opens_at=1_900_000_800)
    found: Visit = visit(viewport={"width": size[0], "height": size[1]}).go().open()
    found.dialog.get_by_label(own["day"]).select_option(index=2)
    for thing in found.dialog.locator(
        "button, input:not([name=website]), select:not([aria-label]), a, p, h2, label"
    ).all():
        if not thing.inner_text() and thing.evaluate("(each) => each.tagName") == "P":
            continue
        thing.scroll_into_view_if_needed()
        box = thing.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1] + 1
    assert found.dialog.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
    assert found.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_targets_are_large(visit: Visits) -> None:
    found: Visit = visit(viewport={"width": 320, "height": 568}).go().open()
    for thing in found.dialog.locator("button, input:not([name=website]), select, a").all():
        box = thing.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 24
    for thing in found.dialog.locator("button").all():
        assert (thing.bounding_box() or {"height": 0})["height"] >= 44


def test_nothing_moves_for_who_wants_no_motion(visit: Visits) -> None:
    found: Visit = visit(reduced_motion="reduce").go().ask()
    found.said(EN["waiting"])
    assert found.evaluate(f"{found.moving()}.length") == 0
    usual: Visit = visit().go().ask()
    usual.said(EN["waiting"])
    assert usual.evaluate(f"{usual.moving()}.length") > 0
