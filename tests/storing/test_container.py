"""The container: what is written is read, damage is named, and a save is complete or has no effect."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from helpers.hostile import hostile_files, signed
from palate.errors import ModelFileError, NotAModelError, OptionError, OversizedModelError, TamperedModelError
from palate.storing import container

HOSTILE = hostile_files()
LABELS = ["Amélie", "千と千尋", "🎬\n🍿", "\ud800", "", "\0"]


def small():
    rng = np.random.default_rng(0)
    return {
        "factors": rng.normal(size=(7, 3)).astype(np.float32),
        "codes": np.arange(5, dtype=np.int32),
        "seen": np.array([True, False, True]),
    }


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.palate"
    container.write(path, small(), {"labels": LABELS, "rmse": 0.9})
    return path


def only_file(folder):
    return [path.name for path in folder.iterdir()]


arrays = st.sampled_from(list(container.DTYPES.values())).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
headers = st.dictionaries(st.text().filter(lambda key: key not in ("format", "palate", "digest")), json_values)
names = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != "__metadata__")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tensors=st.dictionaries(names, arrays, max_size=5), header=headers)
def test_what_is_written_is_read(tmp_path, tensors, header):
    path = tmp_path / "model"
    container.write(path, tensors, header)
    found, found_header = container.read(path)
    assert found_header == header
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].tobytes() == tensor.tobytes()
        assert not found[name].flags.writeable
        assert found[name].flags.aligned
    assert only_file(tmp_path) == ["model"]


def test_the_file_is_plain_safetensors(model):
    for name, tensor in load_file(model).items():
        np.testing.assert_array_equal(tensor, small()[name])


def test_same_content_same_bytes(model, tmp_path):
    other = tmp_path / "other"
    container.write(other, dict(reversed(small().items())), {"labels": LABELS, "rmse": 0.9})
    assert other.read_bytes() == model.read_bytes()


def test_labels_and_numbers_of_any_kind_come_back(model):
    assert container.read(model)[1] == {"labels": LABELS, "rmse": 0.9}


def test_arrays_are_mapped_and_cannot_be_written(model):
    found, _ = container.read(model)
    assert not found["factors"].flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        found["factors"][0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        found["factors"].setflags(write=True)


def test_an_open_model_outlives_a_save_over_it_and_its_removal(model):
    found, _ = container.read(model)
    container.write(model, {"factors": np.zeros((7, 3), np.float32)}, {})
    model.unlink()
    np.testing.assert_array_equal(found["factors"], small()["factors"])


def test_any_memory_layout_is_written_the_same(tmp_path):
    wanted = np.arange(12.0).reshape(3, 4)
    given_arrays = {
        "transposed": np.asfortranarray(wanted),
        "big_endian": wanted.astype(">f8"),
        "strided": np.repeat(wanted, 2, axis=1)[:, ::2],
        "backwards": wanted[::-1][::-1],
    }
    container.write(tmp_path / "m", given_arrays, {})
    for name, tensor in container.read(tmp_path / "m")[0].items():
        np.testing.assert_array_equal(tensor, wanted, err_msg=name)


def test_unaligned_tensors_of_another_writer_are_copied(tmp_path):
    tensors = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
    }
    data = b"\7" + np.array([1, 2], "<f4").tobytes()
    for padding in range(4):
        (tmp_path / "m").write_bytes(signed(tensors, data, {"padding": "." * padding}))
        found, _ = container.read(tmp_path / "m")
        assert found["b"].tolist() == [1, 2]
        assert found["b"].flags.aligned
        assert not found["b"].flags.writeable


def test_header_keys_that_are_numbers_become_text_and_still_match_the_digest(tmp_path):
    container.write(tmp_path / "m", {}, {"counts": {10: 1, 9: 2, 1: (3,)}})
    assert container.read(tmp_path / "m") == ({}, {"counts": {"10": 1, "9": 2, "1": [3]}})


@pytest.mark.parametrize("name", ["format", "palate", "digest"])
def test_the_formats_own_keys_are_refused(tmp_path, name):
    with pytest.raises(OptionError, match=name):
        container.write(tmp_path / "m", {}, {name: 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", np.float32(1), {(1, 2): 3}])
def test_headers_that_json_cannot_hold_are_refused(tmp_path, value):
    with pytest.raises(OptionError, match="JSON"):
        container.write(tmp_path / "m", {}, {"x": value})
    assert only_file(tmp_path) == []


@pytest.mark.parametrize("dtype", ["f2", "c8", "i2", "u4", "O", "U3", "M8[s]"])
def test_other_types_are_refused_and_the_valid_ones_named(tmp_path, dtype):
    with pytest.raises(OptionError, match=r"'x' has type .* float32, float64, int32, int64, uint8, bool"):
        container.write(tmp_path / "m", {"x": np.zeros(2, dtype)}, {})


@pytest.mark.parametrize("name", ["__metadata__", 3])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(OptionError, match="cannot be called"):
        container.write(tmp_path / "m", {name: np.zeros(2)}, {})


def test_a_header_too_large_to_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MAX_HEADER_BYTES", 1000)
    container.write(tmp_path / "m", {"x": np.zeros(2)}, {"text": "." * 400})
    container.read(tmp_path / "m")
    with pytest.raises(OversizedModelError, match="long lists into tensors"):
        container.write(tmp_path / "m", {"x": np.zeros(2)}, {"text": '"' * 400})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_each_give_their_own_error(tmp_path, name):
    content, error = HOSTILE[name]
    path = tmp_path / "model.palate"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        container.read(path)
    assert type(caught.value) is error, caught.value
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith(("digest-w", "data-changed"))])
def test_without_the_digest_nothing_leads_outside_the_file(tmp_path, name):
    (tmp_path / "m").write_bytes(HOSTILE[name][0])
    if name == "palate-text-infinite":
        assert container.read(tmp_path / "m", verify=False)[1] == {"m": float("inf")}
        return
    with pytest.raises(HOSTILE[name][1]):
        container.read(tmp_path / "m", verify=False)


def test_the_list_of_hostile_files_is_complete():
    listed = (Path(__file__).parent.parent / "files/hostile/README.md").read_text(encoding="utf-8")
    missing = [name for name, (_, error) in HOSTILE.items() if f"| {name} | {error.__name__} |" not in listed]
    assert missing == []


def test_cut_at_every_1000th_byte(tmp_path):
    path = tmp_path / "model.palate"
    container.write(path, {"x": np.arange(20_000.0)}, {"labels": [f"label {n}" for n in range(2_000)]})
    whole = path.read_bytes()
    assert len(whole) > 180_000
    for end in [*range(0, len(whole), 1000), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(ModelFileError, match="cut short") as caught:
            container.read(path)
        assert type(caught.value).__name__ == "TruncatedModelError"


@pytest.mark.long
def test_every_flipped_bit_is_seen_or_changes_nothing(model):
    whole = model.read_bytes()
    wanted = container.read(model)
    unseen = 0
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            model.write_bytes(changed)
            try:
                tensors, header = container.read(model)
            except ModelFileError:
                continue
            unseen += 1  # the 'a' of \u00aa turned into 'A' is the same letter
            assert header == wanted[1]
            assert {name: tensor.tobytes() for name, tensor in tensors.items()} == {
                name: tensor.tobytes() for name, tensor in wanted[0].items()
            }
    assert unseen < 40


def test_a_renamed_tensor_is_seen(model):
    whole = model.read_bytes()
    model.write_bytes(whole.replace(b'"codes"', b'"items"'))
    with pytest.raises(TamperedModelError, match="checksum"):
        container.read(model)


def test_paths_that_are_no_readable_file(tmp_path):
    with pytest.raises(ModelFileError, match="there is no file"):
        container.read(tmp_path / "none")
    with pytest.raises(NotAModelError, match="a folder"):
        container.read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAModelError, match="not a regular file"):
        container.read(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="cannot read"):
        container.read(tmp_path / ("x" * 400))
    with pytest.raises(ModelFileError, match="cannot read"):
        container.read("nul\0byte")


def test_saving_where_nothing_can_be_saved(tmp_path, model):
    with pytest.raises(ModelFileError, match=r"cannot save .*Nothing was written"):
        container.write(tmp_path / "no" / "folder", small(), {})
    with pytest.raises(ModelFileError, match="cannot save"):
        container.write(tmp_path, small(), {})
    assert only_file(tmp_path) == [model.name]


def test_a_link_stays_a_link(tmp_path, model):
    link = tmp_path / "latest"
    link.symlink_to(model)
    container.write(link, {"x": np.zeros(2)}, {})
    assert link.is_symlink()
    assert list(container.read(model)[0]) == ["x"]


def test_the_bytes_are_on_disk_before_the_old_file_is_replaced(model, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (done.append(name), real(*given)))
    container.write(model, small(), {})
    assert done == ["fsync", "replace", "fsync"]  # the file, its name, the folder


def test_an_interrupt_while_saving_leaves_the_old_file_and_no_rest(model, monkeypatch):
    before = model.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        container.write(model, {"x": np.zeros(2)}, {})
    assert model.read_bytes() == before
    assert only_file(model.parent) == [model.name]


def run(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


FULL_DISK = """
import resource, sys, numpy as np
from palate import errors
from palate.storing import container
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    container.write(sys.argv[1], {"x": np.zeros(1_000_000)}, {})
except errors.ModelFileError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_the_old_file(model):
    before = model.read_bytes()
    output, _ = run(FULL_DISK, model).communicate(timeout=60)
    assert "cannot save" in output
    assert "unchanged" in output
    assert model.read_bytes() == before
    assert only_file(model.parent) == [model.name]


KILLED = """
import sys, numpy as np
from palate.storing import container
tensors = {f"x{n}": np.full(1_000_000, n, np.float64) for n in range(4)}
print("ready", flush=True)
while True:
    container.write(sys.argv[1], tensors, {})
"""


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.08])
def test_kill_9_while_saving_leaves_a_whole_file(model, seconds):
    before = model.read_bytes()
    process = run(KILLED, model)
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 30
    while not list(model.parent.glob(".model.palate.*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    tensors, _ = container.read(model)  # raises unless whole
    assert model.read_bytes() == before or sorted(tensors) == ["x0", "x1", "x2", "x3"]


RACING = """
import sys, numpy as np
from palate.storing import container
sys.stdin.readline()
for turn in range(30):
    container.write(sys.argv[1], {"x": np.full(20_000, int(sys.argv[2]))}, {"who": int(sys.argv[2])})
"""


def test_two_processes_saving_the_same_path_leave_one_whole_file_of_one_of_them(model):
    racers = [
        subprocess.Popen([sys.executable, "-c", RACING, str(model), str(who)], stdin=subprocess.PIPE) for who in (1, 2)
    ]
    for racer in racers:
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    while any(racer.poll() is None for racer in racers):
        container.read(model)
    assert [racer.wait() for racer in racers] == [0, 0]
    for racer in racers:
        racer.stdin.close()
    tensors, header = container.read(model)
    assert set(tensors["x"].tolist()) == {header["who"]}
    assert only_file(model.parent) == [model.name]


def test_the_layout_on_disk_is_the_one_described(model):
    """Spelled out once without the reader, since files written today must load in later versions."""
    raw = model.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    table = json.loads(raw[8 : 8 + length])
    sealed = json.loads(table["__metadata__"]["palate"])
    assert list(table["__metadata__"]) == ["palate"]
    assert sealed["format"] == 1
    described = {name: entry for name, entry in table.items() if name != "__metadata__"}
    header = {key: value for key, value in sealed.items() if key not in ("format", "palate", "digest")}
    assert header == {"labels": LABELS, "rmse": 0.9}
    assert described["factors"]["dtype"] == "F32"
    begin, end = described["factors"]["data_offsets"]
    assert raw[8 + length + begin : 8 + length + end] == small()["factors"].tobytes()


class NoMemory:
    """An open file that is too large to be read."""

    def __init__(self, file):
        self.file, self.fileno = file, file.fileno

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self):
        raise MemoryError


def test_a_file_for_which_there_is_no_memory_is_mapped(model, monkeypatch):
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda *args: NoMemory(opened(*args)))
    found, _ = container.read(model)
    np.testing.assert_array_equal(found["factors"], small()["factors"])
    with pytest.raises(MemoryError):
        container.read(model, copy=True)
