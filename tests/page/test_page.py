"""The status page as a person finds it: on a desk, on a phone, in the dark, without a mouse."""

import os
import unittest
from urllib.request import urlopen

from browser import Browser

PAGE = os.environ["PAGE"]
LIVE = "document.querySelector('#state').textContent === 'live'"
# How far two colours that are next to each other are apart, as WCAG counts; of all texts on the page.
CONTRASTS = """(() => {
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => part / 255)
      .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    element.getClientRects().length > 0 &&
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ""));
  return texts.map((element) => {
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.tagName + ": " + element.textContent];
  });
})()"""


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def setUp(self):
        self.browser.events.clear()
        self.browser.screen(1100, 900)
        self.browser.open(PAGE)
        self.browser.until(LIVE)

    def text(self, selector):
        return self.browser.value(f"document.querySelector({selector!r})?.innerText ?? ''")

    def tile(self, name):
        found = ("[...document.querySelectorAll('#now div')]"
                 f".find((tile) => tile.querySelector('dt').textContent === {name!r})")
        return self.browser.value(f"{found}?.querySelector('dd').textContent")

    def picture(self, name):
        directory = os.environ.get("SCREENSHOTS")
        if directory:
            self.browser.picture(os.path.join(directory, name))

    def test_it_shows_what_happens(self):
        self.browser.until("parseFloat(document.querySelector('#now dd').textContent.replace(',', '')) > 20")
        self.assertNotIn(self.tile("p50"), ("–", None))
        self.assertNotIn(self.tile("p99"), ("–", None))
        clients = self.tile("PostgreSQL clients")
        self.assertRegex(clients, r"^[3-9] of 1,000$")
        self.browser.until("document.querySelector('#chart polyline').getAttribute('points').split(' ').length > 3")
        names = self.browser.value("[...document.querySelectorAll('#pools article')].map((it) => it.dataset.pool)")
        self.assertEqual(names, ["primary", "primary/replica1", "reports"])
        primary = self.text("[data-pool=primary]")
        for part in ("primary up", "closed", "of 25", "Found prepared", "listen 1"):
            self.assertIn(part, primary)
        replica = self.text("[data-pool='primary/replica1']")
        self.browser.until("document.querySelector(\"[data-pool='primary/replica1']\").innerText.includes('Lag')")
        self.assertIn("replica up", replica)
        self.browser.until("document.querySelector('[data-pool=reports]').innerText.includes('Last error')")
        self.picture("status-page.png")

    def test_it_shows_statements_without_their_constants(self):
        self.browser.until("document.querySelectorAll('#statements tbody tr').length >= 5")
        statements = self.text("#statements")
        self.assertIn("UPDATE account SET balance = balance - ? WHERE id = ?", statements)
        self.assertNotIn("secret", self.browser.value("document.documentElement.outerHTML"))

    def test_what_the_server_says_is_text_and_nothing_else(self):
        self.browser.until("document.querySelector('#statements').innerText.includes('onerror')")
        self.assertEqual(self.browser.value("document.querySelectorAll('img').length"), 0)
        self.assertFalse(self.browser.value("'hacked' in window"))

    def test_it_needs_nothing_from_elsewhere_and_runs_nothing_else(self):
        self.browser.until("document.querySelectorAll('#pools article').length > 0")
        asked = {event["request"]["url"] for event in self.browser.told("Network.requestWillBeSent")}
        elsewhere = {url for url in asked if not url.startswith((PAGE, "data:"))}
        self.assertEqual(elsewhere, set())
        self.assertEqual(self.browser.told("Runtime.exceptionThrown"), [])
        complaints = [event["entry"]["text"] for event in self.browser.told("Log.entryAdded")]
        self.assertEqual(complaints, [], "the policy allows what the page does")
        script = ("(() => { const it = document.createElement('script'); it.textContent = 'window.ran = 1';"
                  "document.body.append(it); return 'ran' in window; })()")
        self.assertFalse(self.browser.value(script))
        self.assertIn("default-src 'none'", urlopen(PAGE).headers["Content-Security-Policy"])

    def test_it_fits_on_a_phone(self):
        self.browser.screen(360, 740, phone=True, dark=True)
        self.browser.until("document.querySelectorAll('#statements tbody tr').length >= 5")
        self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), 360)
        height = self.browser.value("document.querySelector('#pause').getBoundingClientRect().height")
        self.assertGreaterEqual(height, 44, "a finger finds it")
        self.picture("status-page-phone.png")

    def test_it_can_be_read_in_the_light_and_in_the_dark(self):
        self.browser.until("document.querySelector('[data-pool=reports]').innerText.includes('Last error')")
        backgrounds = set()
        for dark in (False, True):
            self.browser.screen(1100, 900, dark=dark)
            backgrounds.add(self.browser.value("getComputedStyle(document.body).backgroundColor"))
            contrasts = self.browser.value(CONTRASTS)
            self.assertGreater(len(contrasts), 40)
            faint = [(round(ratio, 2), text) for ratio, text in contrasts if ratio < 4.5]
            self.assertEqual(faint, [])
        self.assertEqual(len(backgrounds), 2)
        self.browser.until("document.querySelector('#chart polyline').getAttribute('points').split(' ').length > 3")
        self.browser.until("document.querySelectorAll('#statements tbody tr').length >= 5")
        self.picture("status-page-dark.png")

    def test_it_can_be_used_without_a_mouse_or_eyes(self):
        tree = self.browser.call("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in tree if not node.get("ignored")]
        of = lambda role: [node.get("name", {}).get("value", "") for node in shown
                           if node.get("role", {}).get("value") == role]
        self.assertIn("Pools and servers", of("heading"))
        self.assertIn("Top statements", of("heading"))
        for role in ("button", "link", "image", "status", "heading"):
            self.assertTrue(all(name or role == "status" for name in of(role)), f"{role}: {of(role)}")
        self.assertTrue(of("main") and of("banner"))
        self.assertEqual(self.browser.value("document.documentElement.lang"), "en")
        self.browser.value("document.querySelector('#pause').focus()")
        self.press_enter()
        self.browser.until("document.querySelector('#state').textContent === 'paused'")
        self.assertEqual(self.browser.value("document.querySelector('#pause').ariaPressed"), "true")
        self.press_enter()
        self.browser.until(LIVE)

    def press_enter(self):
        for kind in ("rawKeyDown", "char", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter",
                              text="\r" if kind == "char" else "", windowsVirtualKeyCode=13)

    def test_it_says_so_when_the_server_is_gone_and_goes_on_when_it_is_back(self):
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.browser.call("Network.emulateNetworkConditions", offline=True, **conditions)
        try:
            self.browser.until("document.querySelector('#state').textContent === 'no answer from the server'")
        finally:
            self.browser.call("Network.emulateNetworkConditions", offline=False, **conditions)
        self.browser.until(LIVE)


if __name__ == "__main__":
    unittest.main()
