"""`make screenshots`: pictures of every page, light and dark, in docs/screenshots/, of a new site with its samples."""

import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Page

from designs.samples import load_samples
from orchestration_site.environment import BASE_DIR
from orchestration_site.tests.browser import Visitor, run_browser, run_visitor
from orchestration_site.tests.sites import Site, run_embedded_site

FOLDER = BASE_DIR / "docs" / "screenshots"
THEMES = ("light", "dark")
SAMPLE = "Customer feedback analysis"
SETTLE_MS = 700
SHORT = {"width": 1280, "height": 800}


def show_deployments(visitor: Visitor) -> None:
    visitor.go("/")


def show_dialog(button: str) -> Callable[[Visitor], None]:
    """The dialog that a button of the sample's card opens."""

    def show(visitor: Visitor) -> None:
        page = visitor.go(f"/?search={SAMPLE}")
        page.get_by_role("button", name=button).first.click()
        page.get_by_role("dialog").wait_for()

    return show


def show_deploy(visitor: Visitor) -> None:
    show_dialog("Deploy")(visitor)
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Design", exact=True).select_option(label=SAMPLE)
    dialog.get_by_label("Run by itself").check()
    dialog.get_by_text("The next 10 runs").wait_for()


def show_execution(visitor: Visitor) -> None:
    page = visitor.go("/executions")
    row = page.get_by_role("region", name="Executions").get_by_role("row").filter(has_text=SAMPLE).first
    row.get_by_role("link").first.click()


def show_designer(visitor: Visitor) -> None:
    page = visitor.go("/designs")
    page.get_by_role("main").get_by_role("link", name=SAMPLE).first.click()


PAGES: dict[str, Callable[[Visitor], object]] = {
    "deployments": show_deployments,
    "deploy": show_deploy,
    "execute": show_dialog("Execute"),
    "configure": show_dialog("Configure"),
    "call": show_dialog("Call it"),
    "history": lambda visitor: visitor.go("/executions"),
    "execution": show_execution,
    "designs": lambda visitor: visitor.go("/designs"),
    "designer": show_designer,
    "not-found": lambda visitor: visitor.go("/nowhere"),
}


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with run_embedded_site() as site, run_browser() as browser:
        run_samples(site)
        for theme in THEMES:
            with run_visitor(browser, site, viewport=SHORT, color_scheme=theme) as visitor:
                visitor.complaints.expected.append("404")
                take(visitor.go("/sign-in"), FOLDER / f"sign-in-{theme}.png")
                visitor.sign_in()
                for name, show in PAGES.items():
                    show(visitor)
                    take(visitor.page, FOLDER / f"{name}-{theme}.png")
    sys.stdout.write(f"{len(THEMES) * (len(PAGES) + 1)} pictures are in {FOLDER.relative_to(BASE_DIR)}\n")
    return 0


def take(page: Page, path: Path) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)


def run_samples(site: Site) -> None:
    """Something for the history: every sample with each of its inputs."""
    key = site.make_key("screenshots")
    for sample in load_samples():
        for given in sample.inputs:
            url = f"{site.base_url}/api/deployed/{sample.endpoint_path}"
            httpx.post(url, json=given, headers={"Authorization": f"Bearer {key}"}, timeout=30).raise_for_status()


if __name__ == "__main__":
    raise SystemExit(main())
