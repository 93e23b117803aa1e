/** A button's work: it cannot be pressed twice, shows that it works, and an error is said where the work is. */

import { ApiError } from "../problem";
import { make } from "./make";
import { notifyError } from "./notices";

/** Whether it was done. An error that is not `handled` is shown in the place, or as a notice where there is none. */
export async function act(
  button: HTMLButtonElement | null,
  work: () => Promise<void>,
  place: HTMLElement | null = null,
  handled: (error: ApiError) => boolean | Promise<boolean> = () => false,
): Promise<boolean> {
  if (button?.ariaBusy === "true") return false;
  setBusy(button, true);
  tellError(place, null);
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) notifyError(error);
    else if (!(await handled(error))) tellError(place, error);
    return false;
  } finally {
    setBusy(button, false);
  }
}

/** Shows an error in its place, with a way to sign in again where the session is over; null takes it back. */
export function tellError(place: HTMLElement | null, error: ApiError | null): void {
  if (!place) {
    if (error) notifyError(error);
    return;
  }
  place.hidden = error === null;
  place.replaceChildren(error?.message ?? "");
  if (error?.status === 401) {
    place.append(" ", make("a", { href: "/sign-in", target: "_blank", rel: "noopener" }, "Sign in in a new tab"));
  }
  if (error) place.scrollIntoView({ block: "nearest" });
}

function setBusy(button: HTMLButtonElement | null, busy: boolean): void {
  if (!button) return;
  // Not `disabled`, which would take the focus away.
  button.ariaBusy = busy ? "true" : null;
}

/** Every list of deployments in the page is asked for again. */
export function refreshDeployments(): void {
  document.body.dispatchEvent(new CustomEvent("deployments-changed"));
}
