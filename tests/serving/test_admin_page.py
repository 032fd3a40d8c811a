"""The page of administration in a real browser."""

import pytest

from helpers.browser import expect
from helpers.page_server import serving
from helpers.serving import ADMIN, TOKEN, service_of
from palate.serving.app import application

REFUSED = ("403", "422")  # the browser says so itself


@pytest.fixture
def service(tmp_path, files):
    return service_of(tmp_path, files["ratings"], files["plain"])


@pytest.fixture
def address(service):
    with serving(application(service)) as address:
        yield address


def entered(opened, address, **options):
    """The page after the token was given."""
    page = opened(f"{address}/admin", allow=REFUSED, **options)
    page.get_by_label("Token printed").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#main").wait_for()
    return page


def test_a_wrong_token_is_refused_and_another_can_be_given(opened, address):
    page = opened(f"{address}/admin", allow=REFUSED)
    expect(page.get_by_role("alert")).to_contain_text("token")
    page.get_by_label("Token printed").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_hidden()
    page.get_by_label("Token printed").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_models_stand_side_by_side_and_shares_can_be_set(opened, address, service):
    page = entered(opened, address)
    table = page.locator("#models")
    for text in ("ratings", "plain", "Bayes", "ALS", "1,800 ratings, 80 users, 50 items"):
        expect(table).to_contain_text(text)
    page.get_by_label("Share of ratings").fill("25")
    page.get_by_label("Share of plain").fill("74")
    page.get_by_role("button", name="Set the shares").click()
    expect(page.locator("#shares-note")).to_contain_text("add up to 1")
    page.get_by_label("Share of plain").fill("75")
    page.get_by_role("button", name="Set the shares").click()
    expect(page.locator("#shares-note")).to_have_text("Set.")
    assert service.models.shares == {"ratings": 0.25, "plain": 0.75}


@pytest.mark.long
def test_calibration_and_traffic_follow_what_arrives(opened, address, ratings, service):
    page = entered(opened, address)
    expect(page.locator("#calibration-note")).to_contain_text("No rating")
    users, items = (v.labels.tolist() for v in (ratings.user_vocabulary, ratings.item_vocabulary))
    events = [
        {"id": f"e{at}", "user": users[user], "item": items[item], "value": value}
        for at, (user, item, value) in enumerate(
            zip(
                ratings.user_codes[:60].tolist(),
                ratings.item_codes[:60].tolist(),
                ratings.values[:60].tolist(),
                strict=True,
            )
        )
    ]
    assert page.request.post(f"{address}/v1/feedback", data=events).ok
    expect(page.locator("#calibration-note")).to_contain_text("60 ratings", timeout=15_000)
    expect(page.locator("#calibration table tbody tr")).to_have_count(5)
    expect(page.locator("#traffic")).to_contain_text("60")
    expect(page.locator("#about")).to_have_text("60 events in the store")


def test_the_doctor_and_fits_say_what_they_find(opened, address):
    page = entered(opened, address)
    page.get_by_role("button", name="Check the training ratings").click()
    expect(page.locator("#doctor")).to_contain_text("1,800 ratings, 80 users, 50 items")
    expect(page.locator("#fits")).to_contain_text("None since the server started.")


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1280, "dark")])
def test_axe_finds_nothing_and_nothing_is_cut(opened, address, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install -r requirements/dev.txt")
    page = entered(opened, address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert axe.Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_the_token_nothing_is_told(address, opened):
    page = opened(f"{address}/admin", allow=REFUSED)
    assert page.request.get(f"{address}/admin/models").status == 403
    assert page.request.get(f"{address}/admin/models", headers=ADMIN).ok
