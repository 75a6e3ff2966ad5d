"""Widgets that are open cost the server little. `python -m benchmarks.widgets` has a thousand of them."""

import socket
from pathlib import Path

from benchmarks import widgets


def test_a_hundred_open_widgets_take_no_memory_to_speak_of(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = widgets.measured(tmp_path, widgets=100, requests=3, port=port, lasts_s=1.5)
    assert len(found.took_ms) >= 3
    assert found.peak_kb < 200 * 1024
    assert found.peak_kb - found.fresh_kb < 30 * 1024
