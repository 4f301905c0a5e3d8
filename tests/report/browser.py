"""Opens a page in a real browser, without a display, and does what it is told: run as a program.

In a process of its own, for a browser brings threads and settings that no test should inherit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Steps = Sequence[dict[str, Any]]

_TIMEOUT = 90
_POLL = 20  # Milliseconds.


def browse(page: Path, steps: Steps, *, dark: bool = False, width: int = 1280) -> dict[str, Any]:
    """Opens a file and takes steps; returns their results and what the console said.

    Steps are `{"until": js}`, waiting until it is true, `{"js": js}`, whose value is a result, and
    `{"shot": path, "height": pixels}`, a picture of the page from its top.
    """
    task = {"url": page.resolve().as_uri(), "steps": list(steps), "width": width}
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",  # It does not start inside of containers.
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu --blink-settings="
        f"preferredColorScheme={0 if dark else 1}",
        "QT_QUICK_BACKEND": "software",
    }
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT + 30,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The browser failed: {done.stdout[-500:]} {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _serve(task: dict[str, Any]) -> dict[str, Any]:
    from PySide6.QtCore import QEventLoop, QTimer, QUrl
    from PySide6.QtWebEngineCore import QWebEnginePage
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    messages: list[str] = []

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level: Any, text: str, line: int, source: str) -> None:
            messages.append(f"{text} (line {line})")

    application = QApplication(sys.argv[:1])  # Has to be there.
    view = QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.resize(task["width"], 900)
    QTimer.singleShot(1000 * _TIMEOUT, lambda: os._exit(3))

    def wait(start: Any) -> Any:
        loop, found = QEventLoop(), []
        start(lambda value=None: (found.append(value), loop.quit()))
        if not found:
            loop.exec()
        return found[0]

    def pause(milliseconds: int) -> None:
        wait(lambda done: QTimer.singleShot(milliseconds, done))

    def run(script: str) -> Any:
        return wait(lambda done: page.runJavaScript(script, done))

    view.show()
    wait(lambda done: (page.loadFinished.connect(done), page.load(QUrl(task["url"]))))
    results = []
    for step in task["steps"]:
        if "until" in step:
            while run(f"Boolean({step['until']})") is not True:
                pause(_POLL)
        elif "js" in step:
            results.append(run(step["js"]))
        else:
            view.resize(task["width"], step["height"])
            pause(1500)
            view.grab().save(step["shot"])
    application.processEvents()
    return {"results": results, "console": messages}


if __name__ == "__main__":
    print(json.dumps(_serve(json.loads(sys.stdin.read()))), flush=True)
    os._exit(0)  # Without the browser's own long farewell.
