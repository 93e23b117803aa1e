"""What all pages share: signing in and out, the theme, the policy, and what a browser holds against them."""

from playwright.sync_api import Browser, expect

from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site


def test_who_is_not_signed_in_signs_in_and_is_brought_to_the_page(chromium: Browser, embedded_site: Site) -> None:
    with run_visitor(chromium, embedded_site) as visitor:
        page = visitor.go("/?status=active")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("correct username and password")
        assert accessibility_problems(page) == []
        page.get_by_label("Password").fill(embedded_site.admin_password)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{embedded_site.base_url}/?status=active")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_theme_is_kept(visitor: Visitor) -> None:
    page = visitor.go("/")
    page.get_by_label("Theme").select_option("dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert accessibility_problems(page) == []


def test_an_address_that_leads_nowhere_is_a_page_like_the_others(visitor: Visitor) -> None:
    visitor.complaints.expected.append("404")
    page = visitor.go("/nowhere")
    assert accessibility_problems(page) == []
    page.get_by_role("main").get_by_role("link", name="Deployments").click()
    expect(page.get_by_role("heading", name="Deployments")).to_be_visible()


def test_a_page_runs_no_script_that_is_not_the_sites_own(visitor: Visitor) -> None:
    visitor.complaints.expected.append("Content Security Policy")
    page = visitor.go("/")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.wasRun = true";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.wasRun") is None
