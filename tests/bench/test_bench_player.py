"""How far the videos of a report's row are apart while they play in a real browser. Nothing here asserts a time."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def neighbor(name: str) -> ModuleType:
    """A conftest.py of the report's tests: it has the browser and the page."""
    path = Path(__file__).parents[1] / "reports" / name
    spec = importlib.util.spec_from_file_location(f"bench_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reports, html = neighbor("conftest.py"), neighbor("html/conftest.py")
stored_run, folder_page, browser = reports.stored_run, reports.folder_page, html.browser

START = "document.querySelectorAll('.row')[1].querySelector('.play').click()"
PLAYING = """return [...document.querySelectorAll('.row')[1].querySelectorAll('video')]
    .every(v => !v.paused && v.readyState >= 3 && v.currentTime > 0)"""
#: The largest distance from the first video, s, at every image of the page; three rounds of 0.8 s, with the seam.
GAPS = """
    const videos = [...document.querySelectorAll('.row')[1].querySelectorAll('video')], length = 0.8, gaps = [];
    return new Promise(done => {
      const end = performance.now() + 2500;
      const look = () => {
        const times = videos.map(v => v.currentTime);
        const away = times.map(t => Math.abs(t - times[0]));
        gaps.push(Math.max(...away.map(d => Math.min(d, length - d))));
        performance.now() < end ? requestAnimationFrame(look) : done(gaps);
      };
      look();
    });"""


def test_videos_in_step(browser, folder_page, benchmark) -> None:
    browser.open(folder_page)
    browser.run(START)
    browser.until(PLAYING)
    gaps = benchmark.pedantic(browser.run, (GAPS,), rounds=1)
    if not gaps:
        pytest.skip("the page drew nothing")
    middle, worst = (1000 * float(np.quantile(gaps, q)) for q in (0.5, 0.9))
    benchmark.extra_info |= {"median_gap_ms": round(middle, 1), "p90_gap_ms": round(worst, 1)}
    print(f"\nvideos apart: median {middle:.0f} ms, 90 % below {worst:.0f} ms; a frame is 40 ms")
