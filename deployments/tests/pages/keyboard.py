"""Somebody who has a keyboard and nothing else, for tests: from where the cursor is, Tab by Tab."""

from playwright.sync_api import Locator, expect

from orchestration_site.tests.browser import Visitor

#: A page complains of a mouse: what complains fails the test.
NO_MOUSE = "addEventListener('pointerdown', () => console.error('A mouse was used.'), { capture: true });"
#: Null where it was drawn anew meanwhile, and has to be found again.
HAS_CURSOR = "(element) => element.isConnected ? element.matches(':focus') : null"
MOST_TABS = 120


class Keyboard:
    """Nothing here puts the cursor anywhere but by keys. It holds for pages that are opened from now on."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.page.add_init_script(NO_MOUSE)

    def reach(self, wanted: Locator) -> None:
        """Tab until it has the cursor."""
        expect(wanted).to_be_visible()
        found = wanted.element_handle()  # to find it by its role for each Tab would take longer than the Tab
        for _ in range(MOST_TABS):
            has_cursor = found.evaluate(HAS_CURSOR)
            if has_cursor:
                return
            if has_cursor is None:
                found = wanted.element_handle()
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {wanted}")

    def press(self, wanted: Locator, key: str = "Enter") -> None:
        """Reach it, and press the key."""
        self.reach(wanted)
        self.page.keyboard.press(key)

    def write(self, wanted: Locator, text: str) -> None:
        """Reach a field, and type that in place of what it holds; in a list of choices, the one that begins so."""
        self.reach(wanted)
        if wanted.evaluate("(element) => element.localName") != "select":
            self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
