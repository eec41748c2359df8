"""The generated client is the one that the schema and the operations ask for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_code_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "-m", "tools.codegen", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_front_doors_name_everything_that_exists():
    from prefect._generated import operations, types

    for door in (operations, types):
        for name in dir(door):
            assert getattr(door, name) is not None


def test_generated_code_loads_no_graphql_library():
    program = (
        "import sys\n"
        "from prefect._generated import operations, types\n"
        "for door in (operations, types):\n"
        "    for name in dir(door):\n"
        "        getattr(door, name)\n"
        "print(sorted({'gql', 'graphql', 'httpx', 'strawberry', 'orjson', 'pendulum'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
