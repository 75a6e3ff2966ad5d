"""Where and when something was measured."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def measured_on() -> str:
    """A sentence: date, commit, Python, processor."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    lines = Path("/proc/cpuinfo").read_text().split("\n")
    model = next((line.split(": ")[1] for line in lines if "model name" in line), "")
    return f"Measured {datetime.now(UTC):%Y-%m-%d} at commit {commit.stdout.strip()}, Python {platform.python_version()}, {model}."
