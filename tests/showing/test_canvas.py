"""What pictures share: names are shortened to fit, letters without a font become boxes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import pixels, random_factors, with_factors

pytest.importorskip("matplotlib")
from palate import plotting
from palate.errors import OptionError
from palate.showing.pictures import canvas as drawing


@given(st.text(max_size=80), st.integers(8, 60))
@settings(deadline=None, max_examples=60)
def test_short_names_fit_and_keep_what_they_can(name, width):
    cut = drawing.shorten(name, width)
    assert len(cut) <= width
    assert cut.isprintable() and cut == " ".join(cut.split())
    if name.isascii() and name.isprintable() and len(name) <= width:
        assert cut == " ".join(name.split())
    assert all(drawing._can_be_drawn(letter) for letter in cut)


def test_short_keeps_the_year():
    assert drawing.shorten("Independence Day (ID4) (1996)", 26) == "Independence Day… (1996)"
    assert drawing.shorten("Independence Day (ID4) (1996)", 12) == "Independenc…"
    assert drawing.shorten("Independence Day (ID4) (1996)", 29) == "Independence Day (ID4) (1996)"


def test_letters_without_a_font_become_boxes(monkeypatch):
    monkeypatch.setattr(drawing, "WIDE_FAMILIES", ())
    assert drawing.shorten("千 and é") == "□ and é"
    monkeypatch.setattr(drawing, "_letters_of", lambda _: {ord("千")})
    assert drawing.shorten("千 and é") == "千 and □"


@pytest.mark.parametrize("what", ["c", "", 3, True, [], ["a"], {"a"}])
def test_what_is_none_of_the_drawings_is_refused(what):
    with pytest.raises(OptionError, match="is none of 'a', 'b'"):
        drawing.draw({"a": print, "b": print}, what)


@pytest.mark.parametrize("kind", ["3d", "polar"])
def test_axes_of_other_kinds_are_refused(kind):
    figure = drawing.Picture(4, 4)
    for ax in (figure.add_subplot(projection=kind), [figure.add_subplot(projection=kind)]):
        with pytest.raises(OptionError, match=f"flat Axes, .*'{kind}'"):
            drawing.one_axes(ax)


def test_very_many_rows_still_make_a_picture():
    rec = with_factors(random_factors(200, 2))
    assert len(pixels(plotting.item_biases(rec, n=100))) > 4000
    assert drawing.height_of(10**9, 1.0) * 100 < 2**16
