"""The page in a real browser."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from serving import Service, png, serving
from support import wait_until

DROP = """
const data = new DataTransfer();
data.items.add(new File(["not an image"], "notes.png", { type: "image/png" }));
document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
"""


def test_the_page_in_a_real_browser(service: Service, browser: Any, tmp_path: Path, artifacts: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    (good := tmp_path / "scan.png").write_bytes(png((48, 32), seed=5))

    def text(name: str) -> str:
        return str(browser.find_element(By.ID, name).text)

    browser.get(service.url)
    wait_until(lambda: text("status") == "Model ready", seconds=10, what="the page")
    assert (text("model-name"), text("model-version"), text("run-id")) == ("medexp", "1 (champion)", "a" * 32)
    assert "not a medical device" in browser.page_source
    assert browser.find_element(By.ID, "synthetic").is_displayed()
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "file"

    browser.find_element(By.ID, "file").send_keys(str(good))
    wait_until(lambda: text("label"), seconds=10, what="the answer")
    answer = service.predict(good.read_bytes()).json()
    assert text("label") == answer["label"]
    for name, probability in answer["probabilities"].items():
        assert f"{name}\n{100 * probability:.1f} %" in text("probabilities")
    assert "threshold 50.0 %" in text("probabilities")
    assert browser.execute_script("return document.getElementById('preview').naturalWidth") == 48
    assert not browser.find_element(By.ID, "error").is_displayed()
    assert browser.get_log("browser") == []
    time.sleep(0.5)  # the bars grow
    browser.save_screenshot(str(artifacts / "serve.png"))

    browser.execute_script(DROP)
    wait_until(lambda: text("error"), seconds=10, what="the error")
    assert text("error").startswith("Not a readable image. Received: notes.png")
    assert not browser.find_element(By.ID, "label").is_displayed()

    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"}
    assert len(urls) >= 5
    assert all(url.startswith((service.url, "blob:" + service.url)) for url in urls)

    with serving(tmp_path / "new", tracking_uri=f"sqlite:///{tmp_path}/none.db") as new:
        browser.get(new.url)
        wait_until(lambda: "scripts/train.py" in text("reason"), seconds=20, what="the page to say what to run")
        assert text("status") == "No model is ready"
        assert not browser.find_element(By.ID, "model").is_displayed()
