"""Make the site: python docs/site/build.py [FOLDER] [--links]. FOLDER is build/docs by default.

The sources are gathered in FOLDER/source, the pages come to FOLDER/site. Every warning is an error. With --links the
links to other sites are followed instead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "examples")]

import commands  # noqa: E402
import gathering  # noqa: E402
import reference  # noqa: E402
from pages import ORDER  # noqa: E402

ROOT = Path(__file__).parent.parent.parent


def write_sources(folder: Path) -> None:
    """Write the sources of the whole site into a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    gathering.gather(folder)
    listed = reference.write(folder / "reference")
    commands.write(folder / "reference" / "cli")
    gathering.write_indexes(folder, listed, list(ORDER))


def build(folder: Path, builder: str = "html") -> int:
    """Make the site in a folder; return 0 if all went well."""
    source, site = folder / "source", folder / ("site" if builder == "html" else builder)
    write_sources(source)
    shutil.rmtree(site, ignore_errors=True)
    strict = ["-W", "--keep-going", "-n", "-q", "-j", "auto"]
    places = ["-c", str(ROOT / "docs"), "-d", str(folder / "doctrees"), str(source), str(site)]
    # A process of its own, since Sphinx forks and what was imported here has threads.
    return subprocess.run([sys.executable, "-m", "sphinx", *strict, "-b", builder, *places], check=False).returncode


def main() -> None:
    """Make the site in the named folder, and say how long it took."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    folder = Path(words[0]) if words else ROOT / "build" / "docs"
    start = time.perf_counter()
    builder = "linkcheck" if "--links" in sys.argv else "html"
    failed = build(folder.resolve(), builder)
    print(f"{folder / 'site' / 'index.html'} in {time.perf_counter() - start:.0f} s" if not failed else "failed")
    sys.exit(failed)


if __name__ == "__main__":
    main()
