"""Runs the steps of the Dockerfile that install palate, in an empty folder and without Docker.

python deploy/try_dockerfile.py. Only the steps of Python are run: apt-get and useradd belong to the container.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACE = "/usr/local/lib/palate"  # where the Dockerfile installs
SYSTEM = ("apt-get", "useradd")


def steps():
    """The commands of the RUN lines that can be run anywhere."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    runs = [line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]
    return [shlex.split(run) for run in runs if not run.startswith(SYSTEM)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        source, place = Path(folder) / "src", Path(folder) / "palate"
        source.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x"], cwd=source, input=archive, check=True)
        for step in steps():
            step = [word.replace(PLACE, str(place)) for word in step]
            step[0] = sys.executable if step[0] == "python" else step[0]
            print("==>", " ".join(step), flush=True)
            subprocess.run(step, cwd=source, check=True)
        for command in (["--version"], ["serve", "--help"]):
            subprocess.run([str(place / "bin" / "palate"), *command], cwd=folder, check=True)
    print("==> the container would have palate")


if __name__ == "__main__":
    main()
