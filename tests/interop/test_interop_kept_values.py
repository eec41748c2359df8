"""Which values are kept, where, and what is found again: 1.4.1 and Flowstead execute one file.

library-api §13.6, §15.3.
"""

import json
import runpy

from interop_world import FLOWS


def test_the_same_values_are_kept_in_the_same_places(library, tmp_path):
    path = str(FLOWS / "kept.py")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    library.run(f"import runpy\noutcomes = runpy.run_path({path!r}, run_name='kept')['outcomes']")
    other_runs, other_files = library.get(f"outcomes({str(theirs)!r})")
    runs, files = json.loads(json.dumps(runpy.run_path(path, run_name="kept")["outcomes"](str(ours))))
    for mine, others in zip(runs, other_runs, strict=True):
        assert mine == others
    assert files == other_files
    assert len(files) > 15
