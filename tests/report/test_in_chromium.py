"""The page in a real browser, driven through the DevTools protocol over a pipe (no extra package)."""

import itertools
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from segdistill.report import write_report
from segdistill.report.check_page import write_check
from segdistill.report.study_page import write_study

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PATIENCE = 60
"""Seconds that a browser on a busy machine may take to answer."""
KEYS = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

pytestmark = pytest.mark.skipif(
    PROGRAM is None or os.name != "posix",
    reason="no Chromium here: the report was not opened in a browser (Debian: apt-get install chromium)",
)


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, folder: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        flags += " --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-pipe"
        # The browser reads commands from descriptor 3 and writes answers to descriptor 4.
        command = f'exec "$0" {flags} --user-data-dir="$1" about:blank 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", command, str(PROGRAM), str(folder)],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._unread, self._number, self._session = b"", 0, {}
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self):
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, f"the browser was silent for {PATIENCE} s"
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has ended"
            self._unread += part
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)

    def open(self, address, *, width, height, theme="light"):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        if "#" in address:  # within one page there would be nothing to load
            self.open("about:blank", width=width, height=height)
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if (kind, key) == ("keyDown", "Enter") else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key], **text)

    def until(self, expression):
        end = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, f"this never became true: {expression}"
            time.sleep(0.02)

    def complaints(self):
        bad = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        return [event for event in self.events if event.get("method") in bad]

    def requests(self):
        sent = [
            event["params"]["request"] for event in self.events if event.get("method") == "Network.requestWillBeSent"
        ]
        return {request["url"].split(":", 1)[0] for request in sent}

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        os.close(self._out)
        os.close(self._in)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory, content, case):
    folder = tmp_path_factory.mktemp("a folder with spaces")
    ranks = ("best", "median", "worst")
    small = tuple(
        replace(case(f"field {n}", rank, seed=n, shape=(32, 40)), unit=f"tissue_{n:04d}")
        for n, rank in enumerate(ranks)
    )
    write_report(folder / "report ü.html", content(gallery=small))
    return (folder / "report ü.html").as_uri()


def test_it_opens_without_a_complaint_and_asks_nothing_of_the_network(browser, address):
    browser.open(address, width=1280, height=800)
    assert browser.ask("document.title").endswith("segdistill report")
    assert browser.complaints() == []
    assert browser.requests() <= {"file", "data"}
    assert browser.ask("[...document.images].every(image => !image.src || image.naturalWidth > 0)")


def test_the_first_screen_holds_verdict_and_ladders(browser, address):
    browser.open(address, width=1280, height=800)
    boxes = "[...document.querySelectorAll('.sentence, .ladder, .headlines')].map(item => item.getBoundingClientRect())"
    found = browser.ask(f"{boxes}.map(box => [box.top, box.bottom, box.left, box.right])")
    assert len(found) == 4  # the sentence, two ladders, the numbers
    for top, bottom, left, right in found:
        assert 0 <= top < bottom <= 800
        assert 0 <= left < right <= 1280


def test_a_long_verdict_leaves_room_for_the_first_ladder(browser, tmp_path, content):
    careful = (
        "The data cannot tell whether distillation helped on simulated tissue: +2.0 points of Dice, at 78.7 % (95 %"
        " interval −0.7 to +4.6; 9 of 12 fields better; paired test p 0.125).",
        "With these 12 fields and 2 seeds a difference below 3.1 points could not have been seen reliably.",
        "2 seeds; five are wanted for a claim.",
        "The teacher reaches 94.7 %; the student recovers 83 % of that and closes 11 % of the gap to it.",
        "The student does worse than a control, whose teacher knows no more than the student's channels: of the other"
        " channels nothing came through (student minus control −1.8 points, 95 % interval −3.2 to −0.7; control minus"
        " baseline +3.8).",
        "Labels saved: 31 (95 % interval 5 to more than 53).",
    )
    write_report(tmp_path / "long.html", content(gallery=(), answer="unclear", verdict=careful))
    browser.open((tmp_path / "long.html").as_uri(), width=1280, height=800)
    assert browser.ask("document.querySelector('#ladder .plot').getBoundingClientRect().bottom") <= 800


def centres(browser, selector):
    """Return [class, x, y] of the middle of every element, in the page's order."""
    return browser.ask(
        f"[...document.querySelectorAll('{selector}')].map(item => [item, item.getBoundingClientRect()])"
        ".map(([item, box]) => [item.getAttribute('class'), (box.left + box.right) / 2, (box.top + box.bottom) / 2])"
    )


def test_marks_stand_at_their_scores_and_beside_their_names(browser, address):
    browser.open(address, width=1280, height=800)
    marks = centres(browser, "#ladder .marks .mark")
    x = {class_.split()[1]: place for class_, place, _ in marks}
    # Teacher 94.4, baseline 77.8, student 83.6: the student's mark lies 5.8 / 16.6 of the way between the two.
    assert (x["student"] - x["baseline"]) / (x["teacher"] - x["baseline"]) == pytest.approx(5.8 / 16.6, abs=0.01)
    for class_, place, _ in centres(browser, "#ladder .reference"):
        assert x[class_.split()[1]] == pytest.approx(place, abs=1)
    names = centres(browser, "#ladder .who")
    assert len(marks) == 5
    for (_, _, mark), (_, _, name) in zip(marks, names, strict=False):
        assert mark == pytest.approx(name, abs=2)


@pytest.mark.parametrize("width", [320, 400, 700, 1280])
def test_nothing_overflows(browser, address, width):
    browser.open(address, width=width, height=800)
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask("innerWidth") == width
    beyond = (
        "[...document.querySelectorAll('body *')].filter(item => !item.closest('.scroll, .tabs, nav, dialog'))"
        f".filter(item => item.getBoundingClientRect().right > {width} + 1).map(item => item.outerHTML.slice(0, 80))"
    )
    assert browser.ask(beyond) == []


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_the_page_of_a_check_opens_and_does_not_overflow(browser, tmp_path, check_content, width):
    write_check(tmp_path / "check.html", check_content)
    browser.open((tmp_path / "check.html").as_uri(), width=width, height=800)
    assert browser.complaints() == []
    assert browser.requests() <= {"file", "data"}
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask("document.querySelector('.faults').getBoundingClientRect().top < 800")
    assert browser.ask("document.querySelector('.trace').getBoundingClientRect().width > 50")


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_the_page_of_a_study_opens_and_does_not_overflow(browser, tmp_path, study_content, width):
    write_study(tmp_path / "report.html", study_content)
    browser.open((tmp_path / "report.html").as_uri(), width=width, height=800)
    assert browser.complaints() == []
    assert browser.requests() <= {"file", "data"}
    assert browser.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert browser.ask("document.querySelector('.students').getBoundingClientRect().top < 400")
    assert browser.ask("document.querySelector('.plot.budgets polyline').getBoundingClientRect().width > 50")


def test_the_matrix_of_a_study_is_coloured_where_a_difference_is_claimed(browser, tmp_path, study_content):
    write_study(tmp_path / "report.html", study_content)
    browser.open((tmp_path / "report.html").as_uri(), width=1280, height=800)
    colours = browser.ask(
        "[...document.querySelectorAll('#matrix td')].map(cell => getComputedStyle(cell).backgroundColor)"
    )
    plain, clear = "rgba(0, 0, 0, 0)", colours[2:]
    assert colours[:2] == [plain, plain]  # the baselines
    assert len({plain, *clear}) == 3


def test_words_of_the_ladder_do_not_cover_each_other(browser, address):
    for width in (400, 1280):
        browser.open(address, width=width, height=800)
        boxes = browser.ask(
            "[...document.querySelectorAll('#ladder .who')].map(item => item.getBoundingClientRect())"
            ".map(box => [box.top, box.bottom])"
        )
        assert len(boxes) == 7
        for (_, bottom), (top, _) in itertools.pairwise(boxes):
            assert bottom <= top + 1


CURRENT = "document.querySelector('.case:not([hidden]) .name').textContent"


def test_keys_change_the_case_and_only_where_the_gallery_is_seen(browser, address):
    browser.open(address, width=1280, height=800)
    browser.press("ArrowRight")
    assert browser.ask(CURRENT) == "field 0"  # the gallery is below the first screen
    browser.ask("document.querySelector('#cases').scrollIntoView()")
    browser.until("document.querySelector('#gallery').getBoundingClientRect().top < 400")
    names = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        browser.press(key)
        names.append(browser.ask(CURRENT))
    assert names == ["field 1", "field 2", "field 0", "field 2"]
    assert browser.ask("document.querySelectorAll('.case:not([hidden])').length") == 1
    assert browser.ask("document.querySelector('.tab[aria-pressed=true]').textContent") == "worst"


def test_a_picture_opens_and_keys_walk_through_pictures_and_cases(browser, address):
    browser.open(address, width=1280, height=800)
    browser.ask("document.querySelectorAll('.case:not([hidden]) .enlarge')[6].click()")
    words = "document.querySelector('#viewer p').textContent"
    assert browser.ask("document.querySelector('#viewer').open")
    assert "field 0: Student (" in browser.ask(words)
    browser.press("ArrowRight")
    assert "field 0: Student's errors" in browser.ask(words)
    browser.press("ArrowRight")
    assert "field 0: Teacher's view" in browser.ask(words)
    browser.press("ArrowDown")
    assert "field 1: Teacher's view" in browser.ask(words)
    browser.press("Escape")
    browser.until("!document.querySelector('#viewer').open")
    assert browser.ask(CURRENT) == "field 1"
    assert browser.complaints() == []


def test_themes_follow_the_system_the_button_and_the_address(browser, address):
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(address, width=1280, height=800)
    light = browser.ask(ground)
    browser.open(address, width=1280, height=800, theme="dark")
    dark = browser.ask(ground)
    assert light != dark
    browser.ask("document.querySelector('#theme').click()")  # from auto to light
    assert browser.ask(ground) == light
    browser.ask("document.querySelector('#theme').click()")
    assert browser.ask(ground) == dark
    browser.ask("localStorage.clear()")
    browser.open(f"{address}?theme=dark", width=1280, height=800)
    assert browser.ask(ground) == dark


def test_on_paper_every_case_is_shown(browser, address):
    browser.open(address, width=1280, height=800)
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "[...document.querySelectorAll('.case')].filter(item => item.getBoundingClientRect().height > 0).length"
    assert browser.ask(shown) == 3
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.call("Emulation.setEmulatedMedia", media="")


DOTS = "[...document.querySelectorAll('.paired figure:first-child .field')]"


def test_dots_stand_at_their_scores_on_equal_scales(browser, address):
    for width in (400, 1280):
        browser.open(address, width=width, height=800)
        box = browser.ask(
            "(({left, right, top, bottom}) => [left, right, top, bottom])"
            "(document.querySelector('.scatter .ideal').getBoundingClientRect())"
        )
        assert box[1] - box[0] == pytest.approx(box[3] - box[2], abs=1)  # so the diagonal stands for equal scores
        places = browser.ask(
            f"{DOTS}.map(dot => [dot.getAttribute('aria-label'), dot.querySelector('circle').getBoundingClientRect()])"
            ".map(([words, box]) => [words, (box.left + box.right) / 2, (box.top + box.bottom) / 2])"
        )
        assert len(places) == 12
        assert all(box[0] <= x <= box[1] and box[2] <= y <= box[3] for _, x, y in places)
        # Made-up students are better on every field: every dot lies above the diagonal.
        assert all("+" in words and (x - box[0]) < (box[3] - y) for words, x, y in places)


def test_a_dot_leads_to_its_pictures(browser, address):
    browser.open(address, width=1280, height=800)
    link = f"{DOTS}.find(dot => dot.getAttribute('aria-label').startsWith('tissue_0002'))"
    browser.ask(f"{link}.scrollIntoView()")
    x, y = browser.ask(
        f"(box => [(box.left + box.right) / 2, (box.top + box.bottom) / 2])({link}.getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    browser.until(f"{CURRENT} === 'field 2'")
    seen = (
        "(box => box.top >= 0 && box.top < 400)(document.querySelector('.case:not([hidden])').getBoundingClientRect())"
    )
    browser.until(seen)
    browser.press("ArrowLeft")  # from where it led, keys change the case
    assert browser.ask(CURRENT) == "field 1"
    browser.ask(f"{link}.dispatchEvent(new MouseEvent('click', {{bubbles: true, cancelable: true}}))")  # the same again
    assert browser.ask(CURRENT) == "field 2"
    browser.ask("history.back()")
    assert browser.complaints() == []


def test_the_address_of_a_case_opens_it(browser, address):
    browser.open(f"{address}#case-3", width=1280, height=800)
    browser.until(f"{CURRENT} === 'field 2'")


def test_keys_go_from_dot_to_dot_and_to_the_pictures(browser, address):
    browser.open(address, width=1280, height=800)
    assert browser.ask(f"{DOTS}.filter(dot => dot.getAttribute('tabindex') === '0').length") == 1
    browser.ask(f"{DOTS}[0].focus()")
    words = browser.ask(f"{DOTS}.map(dot => dot.getAttribute('aria-label'))")
    told = "document.querySelector('.paired figure:first-child .about').textContent"
    assert browser.ask(told) == words[0]
    browser.press("ArrowLeft")
    assert browser.ask(told) == words[0]  # the first stays the first
    steps = next(place for place, each in enumerate(words) if each.startswith("tissue_0001"))
    for _ in range(steps):
        browser.press("ArrowRight")
    assert browser.ask(told) == words[steps]
    assert browser.ask(CURRENT) == "field 0"  # the gallery did not take the keys for its own
    browser.press("Enter")
    browser.until(f"{CURRENT} === 'field 1'")


def test_without_script_dots_lead_to_pictures_as_well(browser, address):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{address}#case-3", width=1280, height=800)
        shown = "[...document.querySelectorAll('.case')].map(item => item.getBoundingClientRect())"
        assert browser.ask(f"{shown}.every(box => box.height > 0)")
        assert browser.ask(f"{shown}[2].top >= 0 && {shown}[2].top < 400")
        assert browser.ask(f"{DOTS}.every(dot => dot.tabIndex === 0)")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
