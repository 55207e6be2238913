"""The page in a real browser: headless chromium, driven without a library. Skips where there is none."""

from __future__ import annotations

import json

import pytest

TIMES = "return [...document.querySelectorAll('.row')[{row}].querySelectorAll('video')].map(v => v.currentTime)"


@pytest.fixture
def single_page(single_report):
    return single_report.page


@pytest.fixture(params=["folder", "single"])
def page(request):
    """Both forms of the report."""
    return request.getfixturevalue(f"{request.param}_page")


def play(browser, row):
    browser.run(f"document.querySelectorAll('.row')[{row}].querySelector('.play').click()")
    browser.until(
        f"return [...document.querySelectorAll('.row')[{row}].querySelectorAll('video')]"
        ".every(v => !v.paused && v.readyState >= 3 && v.currentTime > 0)"
    )


#: Gives the videos of row 1 a clock that stands still, so that a test says what time each one shows.
STILL_CLOCKS = """
    window.still = [...document.querySelectorAll('.row')[1].querySelectorAll('video')];
    for (const video of window.still) {
      let now = 0.2, rate = 1, paused = true;
      Object.defineProperties(video, {
        currentTime: {get: () => now, set: value => { now = value; }},
        playbackRate: {get: () => rate, set: value => { rate = value; }},
        paused: {get: () => paused}, readyState: {value: 4}, seeking: {value: false},
      });
      video.play = async () => { paused = false; };
      video.pause = () => { paused = true; };
    }"""
#: What the videos show and how fast they play, two images of the page after they showed arguments[0].
AFTER = """
    window.still.forEach((video, i) => { video.currentTime = arguments[0][i]; });
    const next = () => new Promise(requestAnimationFrame);
    const look = () => window.still.map(v => [v.currentTime, +v.playbackRate.toFixed(4)]);
    return next().then(next).then(next).then(look);"""
FASTER, SLOWER = 1.06, 0.94


@pytest.fixture
def still(browser, page):
    """Row 1 plays on clocks that stand still."""
    browser.open(page)
    browser.run(STILL_CLOCKS)
    browser.run(
        "window.still[0].currentTime = 0.4; document.querySelectorAll('.row')[1].querySelector('.play').click()"
    )
    browser.until("return window.still.every(v => !v.paused)")
    return browser


def test_videos_start_together(still):
    assert still.run("return window.still.map(v => v.currentTime)") == [0.4] * 4


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.4, 0.405, 0.35, 0.45], [[0.4, 1], [0.405, 1], [0.35, FASTER], [0.45, SLOWER]]),  # near: another speed
        ([0.5, 0.5, 0.2, 0.79], [[0.5, 1]] * 4),  # far: a jump
        ([0.79, 0.01, 0.77, 0.03], [[0.79, 1], [0.01, SLOWER], [0.77, FASTER], [0.03, SLOWER]]),  # over the loop's seam
        ([0.01, 0.79, 0.03, 0.01], [[0.01, 1], [0.79, FASTER], [0.03, SLOWER], [0.01, 1]]),
    ],
)
def test_videos_that_drift_are_steered_back(still, times, expected):
    assert still.run(AFTER, times) == expected
    assert still.run(AFTER, [0.3] * 4) == [[0.3, 1]] * 4  # and let go again


def test_steering_keeps_the_chosen_speed(still):
    still.run("document.getElementById('speed').value = '0.5'")
    assert still.run(AFTER, [0.4, 0.4, 0.35, 0.45]) == [[0.4, 0.5], [0.4, 0.5], [0.35, 0.53], [0.45, 0.47]]


def test_a_video_that_stalled_plays_on(still):
    still.run("window.still[2].pause()")
    still.run(AFTER, [0.4] * 4)
    assert not still.run("return window.still[2].paused")


def test_stopping_puts_all_on_the_first_ones_frame(still):
    still.run("window.still.forEach((video, i) => { video.currentTime = 0.4 + i / 100; })")
    still.run("document.querySelectorAll('.row')[1].querySelector('.play').click()")
    still.until("return window.still.every(v => v.paused && v.currentTime === 0.4)")


def test_a_playing_page_has_no_complaints(browser, page):
    browser.open(page)
    browser.console()
    play(browser, 1)
    assert browser.run("return document.querySelectorAll('.row')[1].querySelectorAll('video').length") == 4
    assert browser.console() == []


def test_one_row_plays_and_one_video_sounds(browser, page):
    browser.open(page)
    sounding = "return [...document.querySelectorAll('video')].filter(v => !v.muted).length"
    assert browser.run(sounding) == 0
    browser.run("document.getElementById('sound').click()")
    assert browser.run(sounding) == 0
    play(browser, 1)
    assert browser.run(sounding) == 1
    play(browser, 2)
    assert browser.run(sounding) == 1
    assert browser.run(
        "return [...document.querySelectorAll('.row')].map(r => [...r.querySelectorAll('video')].some(v => !v.paused))"
    ) == [False, False, True, False]
    browser.run("document.getElementById('sound').click()")
    assert browser.run(sounding) == 0
    assert browser.run("return document.getElementById('sound').textContent") == "Sound: off"


def test_stopped_videos_show_one_frame(browser, page):
    browser.open(page)
    play(browser, 1)
    browser.run("document.querySelectorAll('.row')[1].querySelector('.play').click()")
    browser.until(
        "return [...document.querySelectorAll('.row')[1].querySelectorAll('video')].every(v => v.paused && !v.seeking)"
    )
    times = browser.run(TIMES.format(row=1))
    assert max(times) - min(times) < 1e-3


def test_frames_step_by_key(browser, single_page):
    browser.open(single_page)
    browser.run("document.querySelectorAll('.row')[1].querySelector('.play').focus()")
    for n, key in enumerate([".", "\ue014", ".", ","]):  # \ue014: right arrow
        browser.press(key)
        frame = [1, 2, 3, 2][n]
        browser.until(
            f"const v = [...document.querySelectorAll('.row')[1].querySelectorAll('video')];"
            f"return v.every(v => !v.seeking && Math.floor(v.currentTime * 25) === {frame})"
        )
    assert browser.run("return document.querySelectorAll('.row')[1].querySelector('.now').textContent") != ""
    texts = browser.run(
        "return [...document.querySelectorAll('.row')[1].querySelectorAll('.tile .now')].map(p => p.textContent)"
    )
    assert all(text.startswith("frame 2: ") for text in texts)
    browser.press("m")
    assert browser.run("return document.getElementById('sound').getAttribute('aria-pressed')") == "true"
    browser.press("k")
    browser.until("return !document.querySelectorAll('.row')[1].querySelector('video').paused")


def test_plot_follows_and_seeks(browser, folder_page):
    browser.open(folder_page)
    browser.run("""document.getElementById('series').value = 'psnr_full';
                   document.getElementById('series').dispatchEvent(new Event('change'))""")
    paths = browser.run("return [...document.querySelectorAll('.plot path')].map(p => p.getAttribute('d'))")
    assert len(paths) == 11
    assert all(path.count("L") == 19 for path in paths)
    browser.run("""
        const plot = document.querySelectorAll('.row')[1].querySelector('.plot'), box = plot.getBoundingClientRect();
        plot.dispatchEvent(new MouseEvent('click', {clientX: box.left + box.width * 0.525, bubbles: true}))""")
    browser.until(
        "return [...document.querySelectorAll('.row')[1].querySelectorAll('video')]"
        ".every(v => Math.abs(v.currentTime - 0.42) < 0.015)"
    )
    text = browser.run("return document.querySelectorAll('.row')[1].querySelector('.now').textContent")
    assert text.startswith("frame 10: ")
    assert text.endswith(" dB")


def test_sorting(browser, folder_page):
    browser.open(folder_page)
    column = "return [...document.querySelector('table').tBodies[0].rows].map(r => r.cells[{}].textContent.trim())"
    head = "document.querySelector('table').tHead.rows[0].cells[{}].querySelector('button')"
    before = browser.run(column.format(0))
    assert before == ["Good one", "Bad <one>", "Still"]
    browser.run(head.format(0) + ".click()")
    assert browser.run(column.format(0)) == ["Bad <one>", "Good one", "Still"]
    browser.run(head.format(2) + ".focus()")
    browser.press("\ue007")  # Enter
    assert browser.run(column.format(2)) == ["31.30", "36.30", "1/21"]  # the incomplete one last
    assert browser.run("return document.querySelector('table').tHead.rows[0].cells[2].ariaSort") == "ascending"
    assert browser.run("return document.querySelector('table').tHead.rows[0].cells[0].ariaSort") == "none"
    browser.press("\ue007")
    assert browser.run(column.format(2)) == ["36.30", "31.30", "1/21"]


def test_order_of_rows_follows_the_metric(browser, folder_page):
    browser.open(folder_page)
    names = "return [...document.querySelectorAll('.row')].map(r => r.getAttribute('aria-label'))"
    assert browser.run(names)[0] == "bob in de (its own audio)"
    browser.run("""document.getElementById('order').value = 'psnr_full';
                   document.getElementById('order').dispatchEvent(new Event('change'))""")
    # PSNR: higher is better, so the worst rows are ann's; the row with its only method good comes last.
    assert browser.run(names) == ["ann in fr", "ann in de (its own audio)", "bob in fr", "bob in de (its own audio)"]


def test_no_request_leaves_and_no_error_shows(browser, page):
    browser.requests(), browser.console()
    browser.open(page)
    for row in range(4):
        play(browser, row)
    asked = browser.requests()
    folder = page.parent.resolve().as_uri()
    assert asked
    assert [url for url in asked if not url.startswith(("data:", "blob:", folder))] == []
    assert browser.console() == []
    assert browser.run("return [...document.querySelectorAll('video')].every(v => v.videoWidth === 64)")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_fits_the_screen(browser, folder_page, width, dark):
    browser.dark(dark)
    browser.open(folder_page, width, 800)
    assert browser.run("return document.documentElement.scrollWidth") == width
    colors = browser.run("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")
    light = [sum(json.loads("[" + c[c.index("(") + 1 : -1] + "]")[:3]) for c in colors]
    assert (light[0] > light[1]) == dark
    # Drawings follow: their text has the color of the page's text.
    assert browser.run("return getComputedStyle(document.querySelector('.charts svg text')).fill") == colors[0]
    browser.dark(False)


def test_everything_is_reached_by_keyboard(browser, folder_page):
    browser.open(folder_page)
    bare = browser.run("""
        return [...document.querySelectorAll('button, select, input, a')].filter(e =>
          e.tabIndex < 0 || !(e.textContent.trim() || e.getAttribute('aria-label') || e.closest('label')))
          .map(e => e.outerHTML.slice(0, 80))""")
    assert bare == []
