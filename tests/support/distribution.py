"""Which tests of a parallel run stay together, and which come first.

The tests of a file share its servers, so they go to one worker; so do all that use 1.4.1, whose server, agents and
registered flows take longer to set up than most of the tests. What takes long comes first, so that no worker has a long
file left when the others have nothing.
"""

from xdist.scheduler import LoadScopeScheduling

ROOMS = ("interop", "e2e", "chaos", "edges", "api", "store", "contract", "unit")
_TOGETHER = "tests/interop/"


def rank(path):
    """Return the place of a test's file among all."""
    return next((place for place, room in enumerate(ROOMS) if f"/tests/{room}/" in path.as_posix()), len(ROOMS))


class FilesInOrder(LoadScopeScheduling):
    """Hands out one file after the other, in the order of their collection."""

    def __init__(self, config, log=None):
        # It would put the files with the most tests first, which are the quick ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        return _TOGETHER if nodeid.startswith(_TOGETHER) else nodeid.split("::", 1)[0]
