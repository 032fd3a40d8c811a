"""Damaged and hostile folders of blocks: a BlocksError that says what to do, and never anything else."""

import contextlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.errors import BlocksError, PalateError

HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    ratings = palate.read(
        {"user": [1, 1, 2], "item": ["a", "b", "a"], "time": [3, 4, 5], "count": [1, 2, 3]}, kind="implicit"
    )
    return palate.blocks.write(tmp_path_factory.mktemp("damage") / "x.blocks", ratings, progress=False).path


@pytest.fixture
def folder(written, tmp_path):
    shutil.copytree(written, tmp_path / "x.blocks")
    return tmp_path / "x.blocks"


def use(path):
    """Open and read everything."""
    blocks = palate.blocks.open(path, verify=True)
    blocks.classes, blocks.to_frame(), blocks.by_item(), str(blocks.report), blocks.range, blocks.describe()


@pytest.mark.parametrize("name", ["users.arrow", "by_user.starts", "by_user.items", "by_item.values", "by_user.times"])
def test_damage_is_told(folder, name):
    path, data = folder / name, (folder / name).read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(BlocksError, match="bytes"):
        palate.blocks.open(folder)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BlocksError, match="checksum"):
        palate.blocks.open(folder, verify=True)
    path.unlink()
    with pytest.raises(BlocksError, match="cannot read"):
        palate.blocks.open(folder)


def test_there_is_no_folder(tmp_path, folder):
    (tmp_path / "file").write_text("x")
    for path, words in (("none", "there is no folder"), ("file", "is a file"), (".", "not finished")):
        with pytest.raises(BlocksError, match=words):
            palate.blocks.open(tmp_path / path)
    (folder / "manifest.json").write_text('{"format": 2, "palate": "9.0"}')
    with pytest.raises(BlocksError, match=r"written by palate 9\.0"):
        palate.blocks.open(folder)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_hostile_manifest_is_refused_or_does_no_harm(written, data):
    manifest = json.loads((written / "manifest.json").read_text())
    place = manifest
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    if data.draw(st.booleans()):
        place[key] = data.draw(HOSTILE)
    else:
        place[data.draw(st.sampled_from(["../x", "/etc/passwd", "base", "by_item.times", "n"]))] = place.pop(key)
    copy = written.with_name("hostile")
    shutil.copytree(written, copy, dirs_exist_ok=True)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    try:
        use(copy)
    except BlocksError as error:
        assert str(copy) in str(error)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"format": NaN}', "\ud800"])
def test_a_manifest_that_is_no_manifest(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BlocksError):
        palate.blocks.open(folder)


@pytest.mark.parametrize("starts", [[0, 5, 3], [0, -1, 3], [1, 2, 3], [0, 2, 4]])
def test_starts_that_fall_or_go_beyond(folder, starts):
    np.array(starts, "<i8").tofile(folder / "by_user.starts")
    with pytest.raises(BlocksError, match=r"by_user\.starts is damaged"):
        palate.blocks.open(folder)


@pytest.mark.parametrize("code", [-1, 2, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("name", ["by_user.items", "by_item.users"])
def test_codes_beyond_the_labels_never_reach_memory(folder, name, code):
    codes = np.fromfile(folder / name, "<i4")
    codes[1] = code
    codes.tofile(folder / name)
    blocks = palate.blocks.open(folder)
    for recipe in (palate.ImplicitALS(n_sweeps=1, n_factors=2, weight_decay=1.0), palate.Popularity()):
        with contextlib.suppress(PalateError, IndexError, ValueError):
            recipe.fit(blocks, progress=False)
