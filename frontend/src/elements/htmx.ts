/** htmx, set up for our pages: no code from attributes, and a sentence for each way in which a request goes wrong. */

import htmx from "htmx.org";
import { csrfToken } from "../client";
import { problemOf, unreachable } from "../problem";
import { notifyError } from "./notices";

interface RequestDetail {
  xhr: XMLHttpRequest;
  headers: Record<string, string>;
}

export function setUpHtmx(): void {
  Object.assign(htmx.config, {
    allowEval: false,
    allowScriptTags: false,
    includeIndicatorStyles: false,
    historyCacheSize: 0,
    selfRequestsOnly: true,
  });
  on("htmx:configRequest", ({ headers }) => {
    headers["X-CSRFToken"] = csrfToken();
  });
  on("htmx:sendError", () => notifyError(unreachable()));
  on("htmx:responseError", ({ xhr }) => void tell(xhr));
}

async function tell(xhr: XMLHttpRequest): Promise<void> {
  const type = xhr.getResponseHeader("Content-Type") ?? "";
  notifyError(
    await problemOf(new Response(xhr.responseText, { status: xhr.status, headers: { "Content-Type": type } })),
  );
}

function on(name: string, listener: (detail: RequestDetail) => void): void {
  document.addEventListener(name, (event) => listener((event as CustomEvent<RequestDetail>).detail));
}
