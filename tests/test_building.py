"""What `make` says while it compiles, and what is published: README, workflow, versions."""

import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from helpers.scripts import ROOT, module_at

compiling = module_at(ROOT / "tools" / "compiling.py")
NINJA = "  [3/75] Building CXX object CMakeFiles/{}.dir/{}.o"


@pytest.fixture(scope="module")
def project():
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


# ---- what is told of a build ----


@pytest.mark.parametrize(
    ("target", "source", "said"),
    [
        ("level_v3", "src/palate/kernels/sgd/sgd.cpp", "[3/75] sgd/sgd.cpp for v3"),
        ("_kernels", "src/palate/kernels/sgd/sgd_border.cpp", "[3/75] sgd/sgd_border.cpp"),
        ("nanobind-static", "somewhere/nanobind/src/nb_func.cpp", "[3/75] nb_func.cpp"),
    ],
)
def test_a_compiled_file_is_one_short_line(target, source, said):
    lines = ["Collecting numpy", NINJA.format(target, source), "  [75/75] Linking CXX shared module"]
    assert list(compiling.told(lines)) == [said]


def test_what_cmake_tells_of_palate_is_shown():
    assert list(compiling.told(["  -- palate: 73 kernel files", "  -- The CXX compiler is GNU"])) == [
        "==> 73 kernel files"
    ]


@pytest.mark.parametrize(
    "first",
    [
        "  FAILED: [code=1] CMakeFiles/level_v3.dir/sgd.cpp.o",
        "  CMake Error at CMakeLists.txt:18 (message):",
        "  sgd.cpp:12:3: error: no such name",
        "ERROR: Failed building editable for palate",
    ],
)
def test_from_the_first_error_on_everything_is_shown(first):
    after = ["  sgd.cpp:13: what is around it", "  ninja: build stopped"]
    assert list(compiling.told(["Collecting numpy", first, *after])) == [first, *after]


def test_without_a_compiler_it_says_what_to_install():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "compiling.py"],
        env={"PATH": "/nonexistent", "CXX": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("CXX is no-such-compiler, which was not found.\n")
    assert "apt install g++" in done.stderr
    assert "xcode-select --install" in done.stderr


def test_cmake_gives_the_same_advice():
    assert "tools/no-compiler.txt" in (ROOT / "CMakeLists.txt").read_text()


# ---- what is published ----


def test_the_version_stands_twice_and_is_the_same(project):
    import palate

    assert project["project"]["version"] == palate.__version__


def test_links_and_pictures_of_the_readme_lead_to_the_home_of_the_project(project):
    home = project["project"]["urls"]["Homepage"]
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert all(target.startswith(("https://", "#")) for target in targets), targets
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    raw = home.replace("//github.com", "//raw.githubusercontent.com")
    assert pictures
    assert all(picture.startswith(f"{raw}/") for picture in pictures)
    assert f"]({home}/blob/main/docs/" in text


def test_the_project_has_one_home(project):
    home = project["project"]["urls"]["Homepage"]
    assert all(url.startswith(home) for url in project["project"]["urls"].values())


def test_the_page_about_installing_names_every_extra(project):
    page = (ROOT / "docs" / "howto" / "install.md").read_text(encoding="utf-8")
    assert [extra for extra in project["project"]["optional-dependencies"] if f"`{extra}`" not in page] == []


def test_wheels_are_for_the_pythons_that_the_metadata_names(project):
    named = {
        "cp3" + version.partition("3.")[2]
        for classifier in project["project"]["classifiers"]
        if (version := classifier.rpartition(" :: ")[2]).startswith("3.")
    }
    assert {build.removesuffix("-*") for build in project["tool"]["cibuildwheel"]["build"]} == named
    assert min(named) == "cp3" + project["project"]["requires-python"].partition(">=3.")[2]
    assert project["tool"]["scikit-build"]["wheel"]["py-api"] in named


def test_what_the_build_needs_is_installed_by_make_too(project):
    needed = set((ROOT / "requirements" / "build.txt").read_text().splitlines())
    assert needed >= set(project["build-system"]["requires"])


@pytest.mark.parametrize("linter", ["actionlint", "check-jsonschema"])
def test_the_workflow_of_the_wheels_is_valid(linter):
    program = shutil.which(linter) or shutil.which(linter, path=str(ROOT / ".venv" / "bin"))
    if program is None:
        pytest.skip(f"{linter} is not installed")
    options = [] if linter == "actionlint" else ["--builtin-schema", "vendor.github-workflows"]
    workflow = ROOT / ".github" / "workflows" / "wheels.yml"
    done = subprocess.run([program, *options, workflow], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
