"""The other views of a row in a real browser: wipe, mouth and difference at 4x, worst moments, sounds, loop, print."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from lipbench.faces.track import FaceTrack
from lipbench.reports.details import Details
from lipbench.reports.html import write

ROW = "document.querySelectorAll('.row')[{}]"
#: Ends when all videos of row arguments[0] stand still on one frame.
STILL = (
    "return [...document.querySelectorAll('.row')[{}].querySelectorAll('video')]"
    ".every(v => v.readyState >= 2 && !v.seeking && v.paused)"
)
#: Width, height and whether it is hidden, of a canvas.
SHAPE = "const c = document.querySelectorAll('.row')[{}].querySelector('{}'); return [c.width, c.height, c.hidden]"


@pytest.fixture(scope="module")
def page(stored_run, tmp_path_factory):
    """The report of a run whose source's face was tracked: a mouth of 16 px at (20, 30), 1 px further every frame."""
    points = np.zeros((20, 68, 3), np.float32)
    points[:, 48:68, 0] = np.linspace(20, 36, 20) + np.arange(20)[:, None]
    points[:, 48:68, 1] = np.tile([30.0, 38.0], 10)
    boxes = np.tile(np.array([10, 10, 54, 54], np.float32), (20, 1))
    track = FaceTrack("mediapipe-face", 64, 64, 25.0, boxes, np.ones(20, np.float32), np.ones(20, np.int16), points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Details, "faces", lambda self, cell: track)
        return write(stored_run, tmp_path_factory.mktemp("views")).page


def show(browser, row, view):
    browser.run(f"{ROW.format(row)}.querySelector('[data-view={view}]').click()")
    browser.until(STILL.format(row))


def seek(browser, row, share):
    browser.run(
        f"const s = {ROW.format(row)}.querySelector('.seek'); s.value = {1000 * share};"
        "s.dispatchEvent(new Event('input'))"
    )
    browser.until(STILL.format(row))


def seen(browser, selector):
    """(H, W, 3) what the window shows of the first element that matches."""
    import cv2

    box = browser.run(
        f"const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}});"
        "const b = e.getBoundingClientRect(); return [b.left, b.top + scrollY, b.width, b.height]"
    )
    clip = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}
    shot = browser.cdp("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    return cv2.imdecode(np.frombuffer(base64.b64decode(shot["data"]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_wipe_shows_a_at_the_left_and_b_at_the_right(browser, page):
    browser.open(page)
    show(browser, 1, "wipe")
    names = browser.run(
        f"return [...{ROW.format(1)}.querySelectorAll('.wipe select')].map(s => s.selectedOptions[0].text)"
    )
    assert names == ["Source", "Good one"]  # what is compared with, and the first method
    assert browser.run(f"return {ROW.format(1)}.querySelector('.tiles').hidden")
    browser.run(
        f"const s = {ROW.format(1)}.querySelector('.b');"
        "s.value = [...s.options].find(o => o.text.startsWith('Bad')).value;"
        "s.dispatchEvent(new Event('change'))"
    )
    seek(browser, 1, 0.5)
    browser.run("document.querySelectorAll('.row')[1].querySelector('.stage').id = 'probe'")
    yellow = []  # the square of `bad` is yellow, the one of the source white
    for value in (0, 1000):
        browser.run(
            f"const s = {ROW.format(1)}.querySelector('.line'); s.value = {value}; s.dispatchEvent(new Event('input'))"
        )
        picture = seen(browser, "#probe").astype(int)
        yellow.append(int(((picture[..., 0] - picture[..., 2]) > 80).sum()))
    assert yellow[0] > 1000
    assert yellow[1] == 0


def test_mouth_is_four_times_as_large_and_follows(browser, page):
    browser.open(page)
    show(browser, 1, "mouth")
    assert browser.run(SHAPE.format(1, ".zoom")) == [4 * 29, 4 * 22, False]
    assert browser.run(f"return {ROW.format(1)}.querySelector('video').hidden")
    browser.run(f"{ROW.format(1)}.querySelector('.zoom').id = 'probe'")
    centers = []
    for share in (0.1, 0.8):
        seek(browser, 1, share)
        picture = seen(browser, "#probe").astype(int)
        bright = np.argwhere(picture.min(2) > 180)
        centers.append(bright[:, 1].mean() / picture.shape[1] if len(bright) else None)
    # The square moves 2 px a frame and the box 1: within the box it wanders to the right.
    assert None not in centers
    assert centers[1] > centers[0] + 0.05
    show(browser, 1, "tiles")
    assert browser.run(SHAPE.format(1, ".zoom"))[2] is True


def test_difference_is_black_where_nothing_differs(browser, page):
    browser.open(page)
    show(browser, 1, "difference")
    seek(browser, 1, 0.5)
    light = {}
    for i, name in enumerate(("source", "good", "bad")):
        browser.run(
            f"document.getElementById('probe')?.removeAttribute('id');"
            f"{ROW.format(1)}.querySelectorAll('.zoom')[{i}].id = 'probe'"
        )
        light[name] = int(seen(browser, "#probe")[5:-5, 5:-5].max())
    assert light["source"] == 0
    assert light["good"] < 60
    assert light["bad"] > 200  # four times the difference of 110 in blue


def test_views_and_moments_have_keys(browser, page):
    browser.open(page)
    browser.run(
        "const s = document.getElementById('series'); s.value = 'psnr_full'; s.dispatchEvent(new Event('change'))"
    )
    browser.run(f"{ROW.format(1)}.querySelector('.play').focus()")
    pressed = f"return {ROW.format(1)}.querySelector('.views [aria-pressed=true]').dataset.view"
    for view in ("wipe", "mouth", "difference", "tiles"):
        browser.press("v")
        assert browser.run(pressed) == view
    browser.press("w")
    browser.until(
        f"const v = {ROW.format(1)}.querySelector('video'); return !v.seeking && Math.abs(v.currentTime - 0.02) < 1e-3"
    )


def test_worst_moments_name_the_method_and_never_a_control(browser, page):
    browser.open(page)
    browser.run(
        "const s = document.getElementById('series'); s.value = 'psnr_full'; s.dispatchEvent(new Event('change'))"
    )
    texts = browser.run(
        "return [...document.querySelectorAll('.row')[1].querySelectorAll('.moments button')].map(b => b.textContent)"
    )
    # 20 frames are less than a second: one moment. PSNR rises from 20 dB plus the length of a name: `bad` is shorter.
    assert len(texts) == 1
    assert texts[0].startswith("0.00 s · Bad <one> · ")
    assert texts[0].endswith(" dB")


def test_sounds_run_under_the_picture(browser, page):
    browser.open(page)
    on = "return [...document.querySelectorAll('.row')[1].querySelectorAll('.sounds .on')].map(s => s.textContent)"
    assert browser.run(on) == ["p"]
    seek(browser, 1, 0.5)
    assert browser.run(on) == ["ɛ"]
    seek(browser, 1, 0.9)
    assert browser.run(on) == []  # a pause


def test_without_loop_a_row_stops_at_its_end(browser, page):
    browser.open(page)
    browser.run("document.getElementById('loop').click()")
    assert browser.run("return document.getElementById('loop').textContent") == "Loop: off"
    browser.run(f"{ROW.format(1)}.querySelector('.play').click()")
    browser.until(f"return {ROW.format(1)}.querySelector('.play').textContent === '❚❚'")
    browser.until(f"return {ROW.format(1)}.querySelector('.play').textContent === '▶'")
    assert browser.run(f"return {ROW.format(1)}.querySelector('video').currentTime") > 0.7
    browser.run(f"{ROW.format(1)}.querySelector('.play').click()")  # begins anew
    browser.until(f"const v = {ROW.format(1)}.querySelector('video'); return !v.paused && v.currentTime < 0.5")


def test_paper_has_everything_open_and_no_buttons(browser, page):
    browser.open(page)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.cdp("Emulation.setEmulatedMedia", media="print")
    open_now = "return [...document.querySelectorAll('#details > details')].every(d => d.open)"
    assert browser.run(open_now)
    shown = "return [...document.querySelectorAll('button')].filter(b => b.offsetParent && !b.closest('thead')).length"
    assert browser.run(shown) == 0
    browser.cdp("Emulation.setEmulatedMedia", media="")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert not browser.run("return document.querySelector('#details > details').open")


def test_other_views_complain_of_nothing(browser, page):
    browser.open(page)
    browser.console(), browser.requests()
    for view in ("wipe", "mouth", "difference", "tiles"):
        show(browser, 1, view)
        browser.run(f"{ROW.format(1)}.querySelector('.play').click()")
        browser.until(f"return {ROW.format(1)}.querySelector('video').currentTime > 0.1")
        browser.run(f"{ROW.format(1)}.querySelector('.play').click()")
    assert browser.console() == []
    folder = page.parent.resolve().as_uri()
    assert [url for url in browser.requests() if not url.startswith(("data:", "blob:", folder))] == []
