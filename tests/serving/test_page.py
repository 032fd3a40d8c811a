"""The web page in a real browser: what can be done on it, by mouse and keyboard, and what hostile titles cannot."""

import re

import polars as pl
import pytest

import palate
from helpers.browser import expect
from helpers.page_server import app_of, serving
from palate.serving.store import Key

HOSTILE = [
    '<img src=x onerror="window.hacked=1">',
    "</script><script>window.hacked=1</script>",
    "\u202egnitset si siht\u2066\u2067",
    "x" * 5_000,
    "\u0000\u0007{{constructor.constructor('window.hacked=1')()}}",
    "' OR 1=1 --",
    "",
]
HOSTILE_LABELS = [
    '"><svg onload=window.hacked=1>',
    "__proto__",
    "constructor",
    "javascript:window.hacked=1",
    "a b&c=d#e",
]


# ---- models ----------------------------------------------------------------------------------------------------------


def table_of(ratings, titles=lambda at: f"Film {at} ({1960 + at})"):
    labels = ratings.item_vocabulary.labels.tolist()
    rows = range(len(labels))
    genres = [("Drama", "Comedy|Drama", "Sci-Fi", "Comedy", "Sci-Fi|Horror (old)")[at % 5] for at in rows]
    columns = {"item": labels, "title": [titles(at) for at in rows], "genres": genres}
    return pl.DataFrame(columns | {"year": [1960 + at for at in rows], "colour": [at % 2 == 0 for at in rows]})


def with_table(ratings, **options):
    return ratings.with_items(table_of(ratings, **options))


@pytest.fixture(scope="module")
def films():
    ratings = palate.datasets.synthetic(n_users=150, n_items=60, n_ratings=4_000, n_factors=3, seed=1)
    with serving(app_of(palate.Bayes(n_sweeps=20).fit(with_table(ratings)))) as address:
        yield address


@pytest.fixture(scope="module")
def likes():
    ratings = palate.datasets.synthetic(n_users=150, n_items=60, n_ratings=3_000, kind="implicit", seed=1)
    with serving(app_of(palate.EASE().fit(with_table(ratings)))) as address:
        yield address


@pytest.fixture(scope="module")
def hostile():
    ratings = palate.datasets.synthetic(n_users=60, n_items=20, n_ratings=700, n_factors=2, seed=2)
    names = HOSTILE_LABELS + [f"i{n}" for n in range(20)]
    users = [f"u{code}" for code in ratings.user_codes]
    items = [names[code] for code in ratings.item_codes]
    read = palate.read({"user": users, "item": items, "rating": ratings.values})
    table = table_of(read, titles=lambda at: HOSTILE[at % len(HOSTILE)]).with_columns(
        pl.Series('we"ird <b>column</b>', [HOSTILE[at % 2] for at in range(20)])
    )
    with serving(app_of(palate.Bayes(n_sweeps=10).fit(read.with_items(table)))) as address:
        yield address


# ---- waiting ---------------------------------------------------------------------------------------------------------


def ready(page):
    page.locator("#items li[data-key]").first.wait_for()
    page.locator("#question h3").wait_for()
    return page


def titles(page):
    return page.locator("#items h3").all_inner_texts()


def rate(page, key="5"):
    """Rate the question by a key, and wait for the list that follows."""
    rated = page.locator("#ratings-list li")
    n = rated.count()
    page.keyboard.press(key)
    expect(rated).to_have_count(n + 1)
    settled(page)


def settled(page):
    """Wait for the list that follows the last change."""
    expect(page.locator("#items")).to_have_attribute("aria-busy", "false")


# ---- rating and the list ---------------------------------------------------------------------------------------------


def test_the_list_follows_each_rating_by_keys(opened, films):
    page = ready(opened(films))
    expect(page.locator("#list-note")).to_have_text("For somebody who has rated nothing yet")
    before, asked = titles(page), []
    for key in "5241":
        asked.append(page.locator("#question h3").inner_text())
        rate(page, key)
        expect(page.locator("#question h3")).not_to_have_text(asked[-1])
    settled(page)
    assert titles(page) != before
    assert page.locator("#ratings-list .name").all_inner_texts() == asked[::-1]
    assert [box.input_value() for box in page.locator("#ratings-list input:checked[type=radio]").all()] == list("1425")
    assert not set(asked) & set(titles(page))
    expect(page.locator("#live")).to_contain_text("List of 10")
    first = page.locator("#items li").first
    expect(first.locator(".worth")).to_have_text(re.compile(r"^[1-5]\.\d stars$"))
    expect(first.locator(".expected")).to_contain_text(re.compile(r"\d+% for 4 or more"))
    expect(first.locator("interval-bar svg")).to_have_attribute(
        "aria-label", re.compile("between .* and .* with a chance of 90%")
    )


def test_ratings_outlast_the_page_until_they_are_cleared(opened, films):
    page = ready(opened(films))
    rate(page)
    page.reload()
    ready(page)
    expect(page.locator("#ratings-list li")).to_have_count(1)
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#ratings")).to_be_hidden()
    assert page.evaluate("localStorage.length") == 0
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#ratings-list li")).to_have_count(1)


def test_skipping_asks_the_next_and_keys_can_be_switched_off(opened, films):
    page = ready(opened(films))
    question = page.locator("#question h3")
    first = question.inner_text()
    page.keyboard.press("s")
    expect(question).not_to_have_text(first)
    second = question.inner_text()
    page.locator("#keys").uncheck()
    page.keyboard.press("s")
    page.keyboard.press("5")
    settled(page)
    assert question.inner_text() == second
    expect(page.locator("#ratings")).to_be_hidden()


def test_search_finds_and_rates(opened, films):
    page = ready(opened(films))
    page.get_by_label("Search by title").fill("film 7 ")
    expect(page.locator("#found li").first).to_contain_text("Film 7 (1967)")
    expect(page.locator("#question")).to_be_hidden()
    page.locator("#found li").first.get_by_role("radio", name="4 stars").check()
    expect(page.locator("#ratings-list")).to_contain_text("Film 7 (1967)")
    page.get_by_label("Search by title").fill("zzzzzzzzz")
    expect(page.locator("#found-note")).to_contain_text("Nothing is called")
    page.get_by_label("Search by title").press("Escape")
    expect(page.locator("#question")).to_be_visible()


def test_reasons_can_be_ticked_off_and_on(opened, films):
    page = ready(opened(films))
    for key in "554":
        rate(page, key)
    settled(page)
    reason = page.locator(".reasons .chip").first
    name = reason.locator(".name").inner_text()
    before = titles(page)
    with page.expect_request("**/v1/recommendations") as asked:
        reason.locator("input").uncheck()
    body = asked.value.post_data_json[0]
    assert len(body["likes"]) == 2 and len(body["exclude"]) == 1
    settled(page)
    assert name not in page.locator(".reasons .name").all_inner_texts() + titles(page)
    assert titles(page) != before or page.locator("#items .worth").count()
    back = page.locator("#without").get_by_role("checkbox", name=name)
    expect(back).to_be_focused()
    back.click()
    settled(page)
    assert titles(page) == before


def test_filters_keep_what_they_say(opened, films):
    page = ready(opened(films))
    page.locator("#filters summary").click()
    page.get_by_role("checkbox", name="Horror (old)").check()
    expect(page.locator("#filters-summary")).to_have_text("Filters (1 on)")
    settled(page)
    assert all("Horror (old)" in line for line in page.locator("#items .meta").all_inner_texts())
    page.get_by_role("checkbox", name="Comedy").check()
    page.get_by_label("year from").fill("1990")
    page.get_by_role("group", name="colour").get_by_role("radio", name="yes").check()
    page.wait_for_timeout(500)
    settled(page)
    lines = page.locator("#items .meta").all_inner_texts()
    assert lines and all("colour" in line and ("Comedy" in line or "Horror (old)" in line) for line in lines)
    assert all(int(re.search(r"\((\d+)\)", title)[1]) >= 1990 for title in titles(page))
    page.get_by_label("year from").fill("2500")
    expect(page.locator("#items")).to_contain_text("Nothing is left under these filters.")
    page.get_by_role("button", name="Remove all filters").click()
    expect(page.locator("#items li[data-key]")).to_have_count(10)


def test_safer_and_bolder_rank_in_other_ways(opened, films):
    page = ready(opened(films))
    rate(page)
    settled(page)
    ways = {}
    for mood, by in (("Safer", "lower"), ("Bolder", "thompson"), ("Balanced", "mean")):
        with page.expect_request("**/v1/recommendations") as asked:
            page.get_by_role("radio", name=mood).check()
        assert asked.value.post_data_json[0]["by"] == by
        settled(page)
        ways[mood] = titles(page)
        if mood == "Bolder":
            with page.expect_request("**/v1/recommendations") as again:
                page.get_by_role("button", name="Guess again").click()
            assert again.value.post_data_json[0]["seed"] == 2
            settled(page)
    stars = [float(text.split()[0]) for text in page.locator("#items .worth").all_inner_texts()]
    assert stars == sorted(stars, reverse=True)
    assert ways["Bolder"] != ways["Balanced"]


def test_what_is_rated_in_the_list_leaves_it(opened, films):
    page = ready(opened(films))
    first = titles(page)[0]
    page.locator("#items li").first.get_by_role("radio", name="2 stars").check()
    expect(page.locator("#ratings-list")).to_contain_text(first)
    settled(page)
    assert first not in titles(page)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#items li[data-key]")).to_have_count(20)


# ---- the map, similar items ------------------------------------------------------------------------------------------


def test_the_map_has_named_axes_you_and_a_table_that_says_the_same(opened, films):
    page = ready(opened(films))
    picture = page.locator("taste-map svg")
    picture.wait_for()
    assert page.locator("taste-map .you").count() == 0
    rate(page)
    page.locator("taste-map .you").wait_for()
    assert page.locator("taste-map .axis-name").count() == 4
    n_points = page.locator("taste-map circle.point").count()
    expect(picture).to_have_attribute("aria-label", re.compile(f"^{n_points} items.*You stand towards"))
    page.get_by_role("radio", name="Table").check()
    rows = page.locator("#map tbody tr")
    assert rows.count() == n_points + 1
    expect(rows.first).to_contain_text("You")
    head = page.locator("#map thead th").nth(1)
    values = [
        int(cell.replace("−", "-")) for cell in page.locator("#map tbody tr td:nth-child(2)").all_inner_texts()[1:]
    ]
    assert values == sorted(values) and min(values) >= -100 and max(values) <= 100
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(head.get_by_role("button")).to_be_focused()


def test_similar_items_lead_on(opened, films):
    page = ready(opened(films))
    opener = page.get_by_role("button", name=re.compile("^Similar to")).first
    name = opener.get_attribute("aria-label")
    opener.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=name)).to_be_focused()
    expect(dialog.locator("li[data-key]")).to_have_count(10)
    further = dialog.get_by_role("button", name=re.compile("^Similar to")).first
    other = further.get_attribute("aria-label")
    further.click()
    expect(dialog.get_by_role("heading", name=other)).to_be_focused()
    dialog.locator("li[data-key]").first.get_by_role("radio", name="3 stars").check()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#ratings-list li")).to_have_count(1)


# ---- models without stars, other servers -----------------------------------------------------------------------------


def test_a_model_of_choices_has_no_stars(opened, likes):
    page = ready(opened(likes))
    for key in "ll":
        rate(page, key)
    settled(page)
    assert page.locator("#ratings-list li").count() == 2
    assert page.locator("input[type=radio]:visible, .worth, interval-bar").count() == 0
    assert page.locator(".reasons .chip").count() > 0
    name = page.locator("#items h3").first.inner_text()
    page.locator("#list").get_by_role("button", name=f"Like {name}", exact=True).click()
    settled(page)
    assert name in page.locator("#ratings-list").inner_text() and name not in titles(page)
    page.locator(".reasons input").first.uncheck()
    expect(page.locator("#without .chip")).to_have_count(1)
    expect(page.locator("#map")).to_be_hidden()


@pytest.mark.long
def test_a_server_with_keys_is_asked_with_one(opened, tmp_path):
    from palate.serving.guard import digest_of

    rec = palate.Bias().fit(palate.datasets.synthetic(30, 20, 300, seed=1))
    key = Key(name="reader", digest=digest_of("palate_secret"), scopes=("read",))
    with serving(app_of(rec, keys=[key])) as address:
        page = opened(address, allow=("401",))
        expect(page.get_by_role("alert")).to_contain_text("Send a key")
        page.get_by_label("Key", exact=True).fill("palate_secret")
        page.get_by_role("button", name="Use this key").click()
        page.locator("#items li[data-key]").first.wait_for()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_failure_is_said_and_can_be_tried_again(opened, films):
    page = ready(opened(films, allow=("Failed to load resource",)))
    page.route("**/v1/recommendations", lambda route: route.abort())
    page.keyboard.press("5")
    expect(page.locator("#list-problem")).to_contain_text("The server does not answer")
    page.unroute("**/v1/recommendations")
    page.locator("#list-problem").get_by_role("button", name="Try again").click()
    expect(page.locator("#list-problem")).to_be_hidden()


KEPT = [
    "{",
    "[]",
    '{"ratings": [{"item": {}, "value": 9}, null, {"item": "gone", "value": 1e9}], "filters": {"year": 7}}',
]


def test_what_is_kept_may_be_anything(opened, films):
    page = ready(opened(films))
    for kept in KEPT:
        page.evaluate("kept => localStorage.setItem('palate.page.model', kept)", kept)
        page.reload()
        ready(page)


@pytest.mark.long
@pytest.mark.data
def test_films_of_movielens(opened, ml_100k):
    with serving(app_of(palate.Bayes(n_sweeps=6).fit(ml_100k))) as address:
        page = ready(opened(address))
        page.get_by_label("Search by title").fill("star wars")
        expect(page.locator("#found li").first).to_contain_text("Star Wars (1977)")
        page.locator("#found li").first.get_by_role("radio", name="5 stars").check()
        expect(page.locator("#ratings-list li")).to_have_count(1)
        expect(page.locator("taste-map .you")).to_be_visible()


# ---- keyboard, readers, colours --------------------------------------------------------------------------------------


def focused(page):
    return page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
    )


def tab_to(page, wanted, n=80):
    """Press Tab until the focus is on something of this name."""
    for _ in range(n):
        page.keyboard.press("Tab")
        if re.search(wanted, focused(page)):
            return
    raise AssertionError(f"no way to {wanted!r} by Tab")


def test_everything_can_be_done_by_keyboard(opened, films):
    page = ready(opened(films))
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the list"
    tab_to(page, "^1 star$")
    for key in ("ArrowRight", "ArrowRight"):  # on its way to 3 stars, the question stays
        page.keyboard.press(key)
    expect(page.locator("#ratings-list input:checked[type=radio]")).to_have_attribute("value", "3")
    rated = page.locator("#ratings-list .name").inner_text()
    expect(page.locator("#question h3")).to_have_text(rated)
    page.keyboard.press("Enter")
    expect(page.locator("#question h3")).not_to_have_text(rated)
    assert page.evaluate("document.querySelector('#question').contains(document.activeElement)")
    for key in "55":
        rate(page, key)
    settled(page)
    tab_to(page, "^Balanced|^$")
    tab_to(page, "^Filters")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#filters-summary")).to_have_text("Filters (1 on)")
    settled(page)
    tab_to(page, "^Similar to")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    assert focused(page).startswith("Similar to")


AXE_STATES = [(320, "light"), (1280, "dark")]


@pytest.mark.long
@pytest.mark.parametrize(("width", "scheme"), AXE_STATES)
def test_axe_finds_nothing(opened, films, width, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -r requirements/dev.txt brings axe"
    ).Axe()
    page = ready(opened(films, viewport={"width": width, "height": 900}, color_scheme=scheme))

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()

    if width > 320:
        check()
    for key in "554":
        rate(page, key)
    page.locator(".reasons input").first.uncheck()
    page.locator("#filters summary").click()
    page.locator("#filters input").first.check()
    page.get_by_label("Search by title").fill("film")
    page.locator("#found li").first.wait_for()
    settled(page)
    check()
    page.get_by_role("radio", name="Table").check()
    page.get_by_role("button", name=re.compile("^Similar to")).first.click()
    page.locator("dialog li[data-key]").first.wait_for()
    check()


COUNT_MOVES = """() => {
  const own = Element.prototype.animate;
  window.moved = 0;
  Element.prototype.animate = function (...given) { window.moved++; return own.apply(this, given); };
}"""


@pytest.mark.long
def test_motion_is_only_where_it_is_wanted(opened, films):
    for wish, moves in (("reduce", False), ("no-preference", True)):
        page = ready(opened(films, reduced_motion=wish))
        page.evaluate(COUNT_MOVES)
        for key in "51":
            rate(page, key)
        settled(page)
        assert (page.evaluate("window.moved") > 0) == moves


# ---- what hostile titles can do --------------------------------------------------------------------------------------


def test_hostile_titles_and_labels_do_nothing(opened, hostile):
    page = ready(opened(hostile, viewport={"width": 360, "height": 800}))
    for key in "5143":
        rate(page, key)
    page.locator("#filters summary").click()
    page.get_by_role("checkbox", name=re.compile("img src")).check()
    settled(page)
    page.get_by_role("button", name="Remove all filters").click()
    page.get_by_label("Search by title").fill("<img")
    page.locator("#found li").first.wait_for()
    page.get_by_label("Search by title").fill("")
    page.get_by_role("radio", name="Table").check()
    page.get_by_role("radio", name="Map").check()
    settled(page)
    assert titles(page)
    for button in page.locator("#items").get_by_role("button", name=re.compile("^Similar to")).all()[:4]:
        button.click()
        page.locator("dialog li[data-key], dialog > p").first.wait_for()
        page.keyboard.press("Escape")
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert max(item.bounding_box()["height"] for item in page.locator("#items li").all()) < 600
