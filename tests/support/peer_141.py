"""An environment of its own with the unmodified prefect 1.4.1 from the package index, made once under `.cache`."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
# The newest that 1.4.1 works with; newer setuptools have no pkg_resources.
PINS = ("prefect==1.4.1", "marshmallow<4", "pendulum<3", "setuptools<81")
# Python versions for which 1.4.1 and its dependencies can be installed.
PYTHONS = ((3, 11), (3, 10))


class NoPythonError(Exception):
    """1.4.1 does not run on any Python of this machine."""


class InstallError(Exception):
    """1.4.1 could not be installed."""


def _base_python():
    if sys.version_info[:2] in PYTHONS:
        return sys.executable
    for version in PYTHONS:
        if found := shutil.which("python{}.{}".format(*version)):
            return found
    raise NoPythonError("prefect 1.4.1 can be installed on Python 3.10 and 3.11 only, and neither is on this machine")


def python_of_141():
    """Return the Python that has 1.4.1, after installing it if that has not been done."""
    folder = CACHE / "interop-venv"
    folder.parent.mkdir(exist_ok=True)
    python, stamp = folder / "bin" / "python", folder / "installed"
    base = _base_python()
    wanted = hashlib.sha256("\n".join([base, *PINS]).encode()).hexdigest()
    with (folder.parent / "interop-venv.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS]
            for command in ([base, "-m", "venv", str(folder)], pip):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise InstallError(f"prefect 1.4.1 could not be installed:\n{done.stdout}{done.stderr}")
            stamp.write_text(wanted)
    return str(python)
