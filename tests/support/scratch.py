"""Where tests keep what is worth nothing after them, and databases that need not be made each time.

Temporary files are in memory if there is room: disks are slow at many files, and databases are many files.
"""

import asyncio
import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from flowstead_server.db.embedded import EmbeddedPostgres
from flowstead_server.db.migrator import load_migrations, migrate

CACHE = Path(__file__).resolve().parents[2] / ".cache"
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 1024**3


def use_memory():
    """Make the memory the directory of temporary files, unless `TMPDIR` says otherwise."""
    if "TMPDIR" not in os.environ and _is_fit():
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def use_own_home():
    """Keep what tests store for good, as results or what could not be sent, out of the developer's own directory."""
    home = tempfile.mkdtemp(prefix="prefect-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["PREFECT__HOME_DIR"] = home


def _is_fit():
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return False
    # some tests start programs that they have written
    is_executable = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return is_executable and shutil.disk_usage(_MEMORY).free > _ROOM


def fill_data_directory(data_dir):
    """Put a migrated database without rows where a server will look for its own; it then starts in half the time."""
    checksum = hashlib.sha256("".join(item.checksum for item in load_migrations()).encode()).hexdigest()[:12]
    made = CACHE / f"pgdata-{checksum}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "pgdata.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            for old in CACHE.glob("pgdata-*"):
                shutil.rmtree(old)
            _make(made)
    data_dir.mkdir(parents=True, exist_ok=True)
    # with owners and modes, about which PostgreSQL is particular
    subprocess.run(["cp", "-a", f"{made}/.", str(data_dir)], check=True)


def _make(place):
    with tempfile.TemporaryDirectory(prefix="pgdata-") as folder:
        data_dir = Path(folder) / "pgdata"
        embedded = EmbeddedPostgres.start_blocking(data_dir)
        try:
            asyncio.run(embedded.ensure_database())
            asyncio.run(migrate(embedded.dsn))
        finally:
            embedded.stop_blocking()
        new = place.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for cluster in data_dir.glob("*/PG_VERSION"):
            subprocess.run(["cp", "-a", str(cluster.parent), str(new)], check=True)
        new.rename(place)
