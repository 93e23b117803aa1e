/** A row with `data-leads` is its link as a whole, for the mouse. Keyboards and screen readers have the link itself. */

export function setUpRowLinks(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const link = target.closest("[data-leads]")?.querySelector("a");
    // Whoever marks a text in the row wants that text.
    if (!link || target.closest("a, button, summary") || !document.getSelection()?.isCollapsed) return;
    const { ctrlKey, metaKey, shiftKey } = event;
    link.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }));
  });
}
