"""Pictures of every state in every culture, to be looked at by people. No culture shows an English text."""

from collections.abc import Mapping
from typing import Any

import pytest
from desk import CULTURES, KEY, Desk, Site, configuration, english_besides, texts
from visitor import Visit

Visits = Any
STATES: Mapping[str, dict[str, Any]] = {
    "2-waiting": {"state": "REQUESTED"},
    "3-calling-agent": {"state": "CALLING", "side": "agent"},
    "4-calling-visitor": {"state": "CALLING", "side": "visitor"},
    "5-connected": {"state": "CONNECTED"},
    "6-ended": {"state": "ENDED"},
    "7-busy-agent": {"state": "FAILED", "side": "agent", "reason": "busy"},
    "7-busy-visitor": {"state": "FAILED", "side": "visitor", "reason": "busy"},
    "7-no-answer-agent": {"state": "FAILED", "side": "agent", "reason": "no_answer"},
    "7-no-answer-visitor": {"state": "FAILED", "side": "visitor", "reason": "no_answer"},
    "7-failed": {"state": "FAILED", "reason": "failed"},
    "8-refused": {"state": "REFUSED"},
    "9-kept": {"state": "OFFLINE"},
}
SHOP = """<header><b>Hartley &amp; Sons</b></header><main><h1>Garden furniture, made to last</h1>
<p>Oak and larch from managed woods, finished by hand. Delivered within two weeks, and put up where you want it.</p>
<p>Our workshop is open from Monday to Saturday. Come and see, or ask us anything.</p></main>"""
LOOK = """<style>body{margin:0;font:18px/1.6 Georgia,serif;background:light-dark(#faf8f4,#14130f);color:light-dark(#2a2620,#e8e2d6)}
:root{color-scheme:light dark}header{padding:16px 24px;border-bottom:1px solid #8885}main{max-width:40em;margin:24px auto;padding:0 24px}</style>"""


@pytest.mark.parametrize("culture", CULTURES)
def test_each_state_in_each_culture(visit: Visits, desk: Desk, site: Site, culture: str) -> None:
    own = texts(culture)
    english = english_besides(culture)
    site.show(desk, SHOP, LOOK)
    desk.config[KEY] = configuration(culture)
    found: Visit = visit(locale=culture, viewport={"width": 420, "height": 640}).go().open()
    found.shoot(f"{culture}/1-form")
    assert not english & set(found.shown())
    for name, state in STATES.items():
        desk.state = {"side": None, "reason": None, **state}
        desk.first_state = "OFFLINE" if state["state"] == "OFFLINE" else "REQUESTED"
        found = visit(locale=culture, viewport={"width": 420, "height": 640}).go().ask()
        found.page.wait_for_function("document.querySelector('ringback-widget').shadowRoot.querySelector('.status h3')")
        if state["state"] not in {"REQUESTED", "OFFLINE"}:
            found.dialog.locator(".status h3", has_not_text=own["waiting"]).wait_for()
        found.shoot(f"{culture}/{name}")
        assert not english & set(found.shown()), name
        found.context.close()
    desk.config[KEY] = configuration(culture, is_available=False, opens_at=1_900_000_800)
    found = visit(locale=culture, viewport={"width": 420, "height": 760}).go().open()
    found.dialog.locator("#day").select_option(index=3)
    found.press(own["leave"])
    found.shoot(f"{culture}/9-later")
    assert not english & set(found.shown())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_course_in_light_and_dark_large_and_small(
    visit: Visits, desk: Desk, site: Site, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 720 if width > 400 else 568}
    site.show(desk, SHOP, LOOK)
    found: Visit = visit(color_scheme=scheme, viewport=size).go()
    found.button.wait_for()
    found.button.hover()
    found.shoot(f"{scheme}-{width}/0-button")
    found.open().shoot(f"{scheme}-{width}/1-form")
    found.press(texts("en")["call"])
    found.shoot(f"{scheme}-{width}/1-error")
    found.press(texts("en")["later_instead"])
    found.dialog.locator("#day").select_option(index=2)
    found.shoot(f"{scheme}-{width}/1-later")
    for name, state in STATES.items():
        desk.state = {"side": None, "reason": None, **state}
        found = visit(color_scheme=scheme, viewport=size).go().ask()
        found.page.wait_for_function("document.querySelector('ringback-widget').shadowRoot.querySelector('.status h3')")
        if state["state"] != "REQUESTED":
            found.dialog.locator(".status h3", has_not_text=texts("en")["waiting"]).wait_for()
        found.shoot(f"{scheme}-{width}/{name}")
        found.context.close()


@pytest.mark.parametrize(
    "position", ["top_left", "top_center", "middle_left", "middle_right", "bottom_center", "bottom_right"]
)
def test_positions(visit: Visits, desk: Desk, site: Site, position: str) -> None:
    site.show(desk, SHOP, LOOK)
    desk.config[KEY] = configuration(
        position=position, button={"online": "Ring me" if "center" in position else "", "offline": ""}
    )
    found: Visit = visit(viewport={"width": 1100, "height": 760}).go()
    found.button.hover()
    found.shoot(f"positions/{position}-button")
    found.open().shoot(f"positions/{position}-open")
