"""What is asked of a site that runs from the image, however it was started."""

import json
import re
import subprocess
import sys
import time
import urllib.request

from designs.samples import load_samples

START_SECONDS = 60.0


def call_samples(port: int, key: str) -> None:
    """Every sample's endpoint answers with a result; the pages have their style sheets."""
    for sample in load_samples():
        url = f"http://127.0.0.1:{port}/api/deployed/{sample.endpoint_path}"
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(sample.inputs[0]).encode(), headers)
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310 - our own URL
            assert json.load(answer)["result"], url
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=5) as answer:
        [style] = re.findall(r'href="(/static/pages/[^"]+\.css)"', answer.read().decode())
    for path in (style, "/static/admin/css/base.css"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            assert answer.status == 200


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)


def say(text: str) -> None:
    """What is done, on standard output."""
    sys.stdout.write(f"── {text}\n")
    sys.stdout.flush()
