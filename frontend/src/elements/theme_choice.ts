/** `<theme-choice>` around a select: light, dark, or as the system has it. Kept in a cookie, so that the first paint is right. */

const YEAR_SECONDS = 31_536_000;

class ThemeChoice extends HTMLElement {
  connectedCallback(): void {
    this.querySelector("select")?.addEventListener("change", (event) => {
      const theme = (event.target as HTMLSelectElement).value;
      document.documentElement.dataset.theme = theme;
      // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser yet.
      document.cookie = `theme=${theme}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    });
  }
}

customElements.define("theme-choice", ThemeChoice);
