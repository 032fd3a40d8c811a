"""Files appear whole or not at all, under names that nobody else has."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from palate.data import whole_files
from palate.data.whole_files import replacing

posix = pytest.mark.skipif(os.name != "posix", reason="rights and processes of POSIX")


def write(path, content="new", **options):
    with replacing(path, **options) as temporary:
        temporary.write_text(content)
    return temporary


def test_what_is_written_replaces_the_file(tmp_path):
    path = tmp_path / "a.txt"
    write(path, "old")
    write(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_every_writer_has_a_name_of_its_own(tmp_path):
    names = {write(tmp_path / "a.txt").name for _ in range(50)}
    assert len(names) == 50


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, interruption):
    path = tmp_path / "a.txt"
    write(path, "old")
    with pytest.raises(interruption), replacing(path) as temporary:
        temporary.write_text("half")
        raise interruption
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_taken_is_never_written_to(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    monkeypatch.setattr(whole_files.secrets, "token_hex", lambda _: "0" * 16)
    planted = tmp_path / f".a.txt.{whole_files.host()}.{os.getpid()}.{'0' * 16}.tmp"
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(tmp_path / "a.txt")
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "a.txt").exists()


def test_links_at_the_path(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    write(link, "newer", in_own_folder=True)
    assert not link.is_symlink()
    assert (link.read_text(), target.read_text()) == ("newer", "new")
    assert link.stat().st_mode == target.stat().st_mode


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_of_a_replaced_file_is_kept(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    former = os.umask(0o027)
    try:
        write(tmp_path / "a.txt")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


@posix
def test_the_group_is_kept_or_its_members_lose_their_rights(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    if os.getuid() == 0:
        os.chown(path, -1, 12345)
        path.chmod(0o660)
        write(path)
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (12345, 0o660)
    else:
        pytest.skip("only root gives files to other groups")

    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)
    write(path)
    assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (os.getgid(), 0o600)


def dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@posix
def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path):
    dead, host, token = dead_process(), whole_files.host(), "ab" * 8
    stray = tmp_path / f".a.txt.{host}.{dead}.{token}.tmp"
    others = [
        tmp_path / f".a.txt.{host}.{os.getpid()}.{token}.tmp",  # of a process that lives
        tmp_path / f".a.txt.{'0' * 8}.{dead}.{token}.tmp",  # of another machine
        tmp_path / f".b.txt.{host}.{dead}.{token}.tmp",  # of another file
        tmp_path / ".a.txt.tmp",
        tmp_path / f"a.txt.{host}.{dead}.{token}.tmp",
    ]
    for path in [stray, *others]:
        path.write_text("")
    write(tmp_path / "a.txt")
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a.txt"])


KILLED = """
import os, signal, sys
from palate.data.whole_files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_after_a_kill_the_next_writer_cleans_up(tmp_path):
    path = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert len(list(tmp_path.iterdir())) == 1
    assert not path.exists()
    write(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["é" * 120, "漢" * 80, "🎬" * 60, "a" * 250])
def test_long_names_by_bytes(tmp_path, name):
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a" * 300, "no-folder/a", "a\0b"])
def test_impossible_names_are_errors_and_leave_nothing(tmp_path, name):
    with pytest.raises((OSError, ValueError)):
        write(f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == []


def test_only_regular_files_are_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match="not a regular file"):
        write(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


# ---- the writers of answers and models


@pytest.fixture(scope="module")
def rec():
    import palate

    return palate.Bias().fit(palate.datasets.synthetic(60, 40, 900, seed=1))


ENDINGS = ["csv", "parquet", "jsonl"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["a" * 300, "no-folder/a", "a\0b"])
def test_names_that_cannot_be_are_said_in_words(rec, tmp_path, name, ending):
    from palate.errors import ModelFileError, OptionError

    for resume in (False, True):
        with pytest.raises(OptionError, match="out="):
            rec.recommend(out=f"{tmp_path}/{name}.{ending}", resume=resume)
    with pytest.raises(ModelFileError, match="cannot save"):
        rec.save(f"{tmp_path}/{name}.palate")
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, signal, sys, palate
rec = palate.Bias().fit(palate.datasets.synthetic(600, 400, 9000, seed=1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
for resume in (False, True):
    try:
        rec.recommend(n=50, out=sys.argv[1], resume=resume)
    except palate.errors.OptionError as error:
        print(error)
"""


@posix
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_that_takes_no_more(tmp_path, ending):
    out = tmp_path / f"out.{ending}"
    out.write_text("old")
    done = subprocess.run([sys.executable, "-c", FULL, str(out)], capture_output=True, text=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert "cannot be written" in first
    assert "cannot be written" in second
    assert "Traceback" not in done.stderr
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"{out.name}.parts"]


@posix
def test_one_run_at_a_time_has_the_folder_of_parts(rec, tmp_path):
    from palate.answers.ranking.files import Parts
    from palate.errors import OptionError

    out = tmp_path / "out.csv"
    with Parts.beside(out).held(make=True):
        for resume in (True, False):
            with pytest.raises(OptionError, match="in use"):
                rec.recommend(out=out, resume=resume)
    rec.recommend(out=out, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@posix
def test_a_link_in_place_of_the_folder_of_parts_is_refused(rec, tmp_path):
    from palate.errors import OptionError

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.csv.parts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="no folder of parts"):
        rec.recommend(out=tmp_path / "out.csv", resume=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


RACING = """
import sys, palate
rec = palate.Popularity().fit(palate.datasets.synthetic(300, 40, 4000, seed=int(sys.argv[2])))
for _ in range(10):
    rec.recommend(n=5, out=sys.argv[1])
"""


def test_two_processes_with_one_file_do_not_mix_their_rows(tmp_path):
    import palate

    out = tmp_path / "out.csv"
    both = [subprocess.Popen([sys.executable, "-c", RACING, str(out), str(seed)]) for seed in (1, 2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    alone = []
    for seed in (1, 2):
        rec = palate.Popularity().fit(palate.datasets.synthetic(300, 40, 4000, seed=seed))
        alone.append(Path(rec.recommend(n=5, out=tmp_path / f"alone{seed}.csv")).read_bytes())
    assert out.read_bytes() in alone
    assert len(list(tmp_path.iterdir())) == 3


KILLED_WHILE_KEEPING = """
import os, signal, sys, palate
from palate.answers.ranking import files, memory
memory.MAX_USERS = 7
def dying(stream, **parts):
    os.kill(os.getpid(), signal.SIGKILL)
rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 900, seed=1))
files.np.savez = dying
rec.recommend(n=4, out=sys.argv[1], resume=True)
"""


@posix
def test_what_a_killed_run_left_among_its_parts_goes_with_them(rec, tmp_path):
    out = tmp_path / "out.csv"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_KEEPING, str(out)], timeout=60)
    left = [path.name for path in (tmp_path / "out.csv.parts").iterdir()]
    assert any(name.endswith(".tmp") for name in left)
    rec.recommend(n=4, out=out, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
