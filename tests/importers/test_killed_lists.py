"""Imports of users, contacts and numbers that are killed at random points and repeated."""

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.api import Api
from tests.child import importing
from tests.importers.master_csv import run, written


@pytest.mark.parametrize("kind", ["users", "contacts", "ddis"])
def test_a_run_that_is_killed_and_repeated_leaves_what_an_undisturbed_one_leaves(
    api: Api, tmp_path: Path, database_url: str, kind: str
) -> None:
    lines = {
        "users": ["email,ext,first_name,last_name", *(f"u{i}@a.example,7{i:03},U,{i}" for i in range(300))],
        "contacts": ["first_name,tel", *(f"C{i},+4420794{i:05}" for i in range(3_000))],
        "ddis": ["e164,destination", *(f"+4420794{i:05},103" for i in range(300))],
    }[kind]
    file = written(tmp_path, "\n".join(lines), name=f"{kind}.csv")
    for n in range(5):
        command = importing(database_url, tmp_path, api.acme, kind, file)
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.01 + n * 0.03)
        child.kill()
        child.wait()
        child.stdout.close()
    expected = [line.split(",", {"users": 3, "contacts": 1, "ddis": 0}[kind])[-1] for line in lines[1:]]
    summary = run(api, kind, file)
    assert (summary.new + summary.known, summary.refused) == (len(lines) - 1, [])
    name = {"users": "last_name", "contacts": "tel", "ddis": "e164"}[kind]
    stored = [row[name] for row in api.admin.listed(f"/{kind}", limit=10_000, sort="id")]
    assert [each for each in stored if each != "Tester"] == [re.sub(r"\+|,.*", "", each) for each in expected]
