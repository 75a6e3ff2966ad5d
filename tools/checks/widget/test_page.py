"""The widget in somebody's page: its policy, its own elements, its styles, its navigation, its direction."""

from typing import Any

import pytest
from desk import KEY, Desk, Site, configuration, document, strict, texts
from visitor import Visit

Visits = Any
EN = texts("en")
NOWHERE = "https://127.0.0.1:9/a.png"
"""Nobody is there, which is known at once."""
RED = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='160' height='60'%3E%3Crect width='160' height='60' fill='%23a11'/%3E%3C/svg%3E"
EVIL = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' onload='parent.evil=1' width='9' height='9'%3E%3Cscript%3Eevil=1%3C/script%3E%3C/svg%3E"


def own(*elements: str) -> str:
    return f"<main><h1>A shop</h1>{''.join(elements)}</main>"


def test_a_strict_policy_needs_two_lines(visit: Visits, desk: Desk, site: Site) -> None:
    site.policy = f"{strict(desk.url)}; connect-src {desk.url}"
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])
    assert found.button.evaluate("(button) => getComputedStyle(button).position") == "fixed"
    assert found.dialog.evaluate("(dialog) => getComputedStyle(dialog).borderRadius") == "20px"
    assert found.errors == []


def test_a_policy_of_nonces_needs_the_nonce_alone(visit: Visits, desk: Desk, site: Site) -> None:
    site.policy = f"default-src 'none'; script-src 'nonce-abc'; connect-src {desk.url}"
    site.show(desk, tag='nonce="abc"')
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])
    assert found.errors == []


def test_a_page_that_isolates_itself_may_load_it(visit: Visits, site: Site) -> None:
    site.headers = {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"}
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])
    assert found.errors == []


def test_an_image_of_the_button_needs_a_third_line(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(button={"online": RED, "offline": None})
    site.policy = f"{strict(desk.url)}; connect-src {desk.url}; img-src data:"
    found: Visit = visit().go()
    found.button.locator("img").wait_for()
    assert found.button.get_by_alt_text(EN["button_online"]).count() == 1
    assert found.errors == []


def test_an_image_that_cannot_be_had_makes_place_for_the_icon(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(button={"online": RED, "offline": None})
    site.policy = f"{strict(desk.url)}; connect-src {desk.url}"
    found: Visit = visit().go()
    found.button.locator("svg").wait_for()
    assert found.button.locator("img").count() == 0


def test_an_own_element_without_its_image_has_the_words(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(floating_icon=False, button={"online": NOWHERE, "offline": None})
    site.show(desk, own("<button data-ringback-button></button>"))
    found: Visit = visit().go()
    found.get_by_role("button", name=EN["button_online"]).get_by_text(EN["button_online"]).wait_for()


@pytest.mark.parametrize("config", [None, {"is_shown": False}], ids=["unknown", "hidden"])
def test_a_widget_that_is_not_shown_leaves_no_dead_button(visit: Visits, desk: Desk, site: Site, config: Any) -> None:
    desk.config = {KEY: configuration(**config)} if config else {}
    site.show(desk, own("<button data-ringback-button>Call us</button>"))
    found: Visit = visit().go()
    found.locator("[data-ringback-button]").wait_for(state="hidden")
    assert found.locator("ringback-widget").count() == 0
    assert found.heard() == []


@pytest.mark.parametrize(
    "position",
    [
        "top_left",
        "top_center",
        "top_right",
        "middle_left",
        "middle_right",
        "bottom_left",
        "bottom_center",
        "bottom_right",
    ],
)
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_the_position_is_where_it_says_also_on_a_page_from_right_to_left(
    visit: Visits, desk: Desk, site: Site, position: str, direction: str
) -> None:
    desk.config[KEY] = configuration(position=position)
    site.show(desk)
    site.pages["/"] = site.pages["/"].replace('<html lang="en"', f'<html lang="ar" dir="{direction}"')
    found: Visit = visit().go().open()
    found.rest()
    for thing in (found.button, found.dialog):
        box = thing.bounding_box()
        assert box
        row, column = position.split("_")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= 800
        assert ("left" if x < 540 else "center" if x < 740 else "right") == column
        if thing == found.button:
            assert ("top" if y < 200 else "middle" if y < 600 else "bottom") == row
    assert found.dialog.evaluate("(dialog) => getComputedStyle(dialog).direction") == "ltr"


def test_the_page_cannot_reach_in_with_its_styles_nor_the_widget_out(visit: Visits, desk: Desk, site: Site) -> None:
    awful = """body > * { all: unset !important; position: static !important; display: none !important }
    ringback-widget { opacity: 0 !important; font-size: 90px }
    html { font-size: 5px } h2 { color: red !important } dialog { background: red !important }"""
    plain: Visit = visit().go().open()
    site.show(desk, head=f"<style>{awful}</style>", body="<h2>Ours</h2>")
    styled: Visit = visit().go().open()
    for each in (plain, styled):
        each.rest()
    wanted = "(each) => { const s = getComputedStyle(each); return [s.color, s.backgroundColor, s.fontSize, s.width, s.display, s.opacity] }"
    assert styled.dialog.evaluate(wanted) == plain.dialog.evaluate(wanted)
    assert styled.dialog.locator("h2").evaluate(wanted) == plain.dialog.locator("h2").evaluate(wanted)
    assert styled.evaluate("document.styleSheets.length") == 1


def test_an_own_element_shows_the_text_and_opens(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(
        floating_icon=False, button={"online": "<b onclick=evil()>Ring us</b>", "offline": "Gone"}
    )
    site.show(desk, own("<button data-ringback-button hidden>Old</button>", "<p id=more></p>"))
    found: Visit = visit().go()
    element = found.get_by_role("button", name="<b onclick=evil()>Ring us</b>")
    element.click()
    found.dialog.wait_for()
    found.page.keyboard.press("Escape")
    found.has_focus("<b onclick=evil()>Ring us</b>")
    assert found.button.count() == 0
    assert element.locator("b").count() == 0


def test_an_own_element_that_is_no_button_becomes_one(visit: Visits, desk: Desk, site: Site) -> None:
    desk.config[KEY] = configuration(is_available=False, button={"online": "On", "offline": RED})
    site.show(desk, own("<div data-ringback-button></div>"))
    found: Visit = visit().go()
    element = found.locator("div[data-ringback-button][role=button]")
    element.focus()
    found.page.keyboard.press("Enter")
    found.dialog.get_by_text(EN["offline_message"]).wait_for()
    assert element.get_by_alt_text(EN["button_offline"]).count() == 1


@pytest.mark.parametrize(
    "data",
    [
        EVIL,
        "javascript:evil=1",
        "<img src=x onerror='evil=1'>",
        "data:text/html,<script>parent.evil=1</script>",
        NOWHERE,
    ],
)
def test_whatever_a_button_says_no_script_of_it_runs(visit: Visits, desk: Desk, site: Site, data: str) -> None:
    hostile = {
        "title": data,
        "message": data,
        "privacy_url": "javascript:evil=1",
        "button": {"online": data, "offline": data},
    }
    desk.config[KEY] = configuration(**hostile)
    site.show(desk, own("<button data-ringback-button>Old</button>"))
    found: Visit = visit().go()
    found.button.click()
    found.dialog.wait_for()
    assert found.dialog.get_by_role("link").count() == 0
    assert found.evaluate("typeof evil") == "undefined"
    assert found.evaluate("document.querySelectorAll('iframe, object, embed').length") == 0


def test_a_single_page_application_adds_and_replaces_what_it_likes(visit: Visits, desk: Desk, site: Site) -> None:
    site.show(desk, own("<div id=view></div>"))
    found: Visit = visit().go()
    found.button.wait_for()
    found.evaluate("document.querySelector('#view').innerHTML = '<button data-ringback-button>Ring</button>'")
    found.locator("[data-ringback-button][aria-haspopup=dialog]").click()
    found.dialog.wait_for()
    found.page.keyboard.press("Escape")
    found.gone()
    found.evaluate("document.body.replaceWith(document.createElement('body'))")
    found.button.wait_for()
    found.evaluate("document.body.innerHTML = '<a href=\"#elsewhere\" data-ringback-button>Again</a>'")
    found.locator("a[aria-haspopup=dialog]").click()
    found.dialog.wait_for()
    assert found.url.endswith("/"), "the link's own address is not gone to"
    found.until(lambda: desk.visitors)
    assert (len(desk.visitors), desk.heard.count(("GET", KEY)), found.locator("ringback-widget").count()) == (1, 1, 1)


def test_a_dialog_that_the_page_took_away_opens_again(visit: Visits) -> None:
    found: Visit = visit().go().open()
    found.evaluate("document.body.replaceWith(document.createElement('body'))")
    found.button.wait_for()
    found.evaluate("ringback.open()")
    found.page.wait_for_function(
        "document.querySelector('ringback-widget').shadowRoot.querySelector('dialog').matches(':modal')"
    )


def test_the_page_opens_and_closes_it(visit: Visits) -> None:
    found: Visit = visit().go()
    found.page.wait_for_function("window.ringback")
    found.evaluate("ringback.open()")  # perhaps before the configuration is there
    found.dialog.wait_for()
    found.evaluate("ringback.close()")
    assert found.heard() == ["opened", "closed"], "told when it is done"
    found.dialog.wait_for(state="hidden")


def test_a_script_that_is_there_twice_counts_once(visit: Visits, desk: Desk, site: Site) -> None:
    site.pages["/"] = site.pages["/"].replace(
        "</head>", f'<script src="{desk.url}/callme/v1.js" data-id="{KEY}"></script></head>'
    )
    found: Visit = visit().go()
    found.button.wait_for()
    assert desk.heard == [("GET", KEY)]
    assert found.locator("ringback-widget").count() == 1


def test_two_widgets_stand_beside_each_other(visit: Visits, desk: Desk, site: Site) -> None:
    other = "Zz00000000000000"
    desk.config[other] = configuration("de", floating_icon=True)
    both = (
        f'<button data-ringback-button="{other}">Deutsch</button><button data-ringback-button="{KEY}">English</button>'
    )
    script = f'<script async src="{desk.url}/callme/v1.js" data-id="{other}"></script>'
    site.show(desk, own(both), head=script)
    found: Visit = visit().go()
    found.page.wait_for_function("document.querySelectorAll('ringback-widget').length === 2")
    boxes = [box for box in (each.bounding_box() for each in found.button.all()) if box]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) >= 60
    found.get_by_role("button", name="Deutsch", exact=True).click()
    found.get_by_role("dialog").get_by_text(texts("de")["title"]).wait_for()
    found.page.keyboard.press("Escape")
    found.gone()
    found.evaluate(f"ringback.open('{KEY}')")
    found.get_by_role("dialog").get_by_text(EN["title"]).wait_for()


def test_a_script_that_the_page_adds_itself(visit: Visits, desk: Desk, site: Site) -> None:
    site.pages["/"] = document("", own())
    found: Visit = visit().go()
    found.evaluate(
        """([url, key]) => { const s = document.createElement('script'); s.src = url + '/callme/v1.js'; s.dataset.id = key; document.head.append(s) }""",
        [desk.url, KEY],
    )
    found.button.wait_for()


def test_a_page_in_a_sandbox_without_storage(visit: Visits, site: Site) -> None:
    site.policy = "sandbox allow-scripts allow-forms"
    found: Visit = visit().go().ask()
    found.said(EN["waiting"])


def test_a_server_that_is_away_leaves_the_page_alone(visit: Visits, desk: Desk, site: Site) -> None:
    site.pages["/"] = site.pages["/"].replace(desk.url, "http://127.0.0.1:1")
    found: Visit = visit().go()
    assert found.get_by_role("heading", name="A shop").is_visible()
    assert found.locator("ringback-widget").count() == 0
