"""A headless Chromium that is told what to do over a pipe: one page, and what happens on it."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE = 30
# It must neither ask for anything outside nor leave anything behind.
OPTIONS = [
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
]


class Browser:
    """Told by commands of the DevTools protocol; keeps what it tells of by itself."""

    def __init__(self):
        self.profile = tempfile.mkdtemp()
        to_it, self.write = os.pipe()
        self.read, from_it = os.pipe()

        def connect():
            # It listens on 3 and talks on 4, which these may be.
            its = [fcntl.fcntl(pipe, fcntl.F_DUPFD, 10) for pipe in (to_it, from_it)]
            os.dup2(its[0], 3)
            os.dup2(its[1], 4)

        command = [os.environ["BROWSER"], f"--user-data-dir={self.profile}", *OPTIONS]
        self.process = subprocess.Popen(
            command, preexec_fn=connect, pass_fds=(3, 4),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_it)
        os.close(from_it)
        self.buffer = b""
        self.number = 0
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        os.close(self.write)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **params):
        """Sends a command and waits for its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.receive(deadline)
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            part = os.read(self.read, 1 << 16)
            if not part:
                raise AssertionError("the browser has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, url):
        """Goes to a page, and waits until it is there."""
        before = len(self.told("Page.loadEventFired"))
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE
        while len(self.told("Page.loadEventFired")) == before:
            self.events.append(self.receive(deadline))

    def value(self, expression):
        """What an expression comes to on the page."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, expression):
        """Waits until it is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {expression}; {self.value('document.body.innerText')}")
            time.sleep(0.05)

    def screen(self, width, height, phone=False, dark=False):
        """Sets how large it is, and which colours its user likes."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def told(self, method):
        """What it has told of this kind."""
        return [event["params"] for event in self.events if event.get("method") == method]
