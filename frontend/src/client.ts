/** Requests to our own API, with the session of whoever looks at the page. */

import { problemOf, unreachable } from "./problem";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Query = Record<string, string | number | boolean | undefined>;

export interface RequestOptions {
  params?: Query;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

interface Answer<T> {
  data: T;
  status: number;
  headers: Headers;
}

/** Raises `ApiError` for every answer that is no success, and for none at all. */
async function send<T>(method: string, path: string, body: unknown, options: RequestOptions): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  const request: RequestInit = { method, headers, credentials: "same-origin" };
  if (body !== undefined) request.body = JSON.stringify(body);
  if (options.signal) request.signal = options.signal;
  const response = await reach(addressOf(path, options.params), request);
  if (!response.ok) throw await problemOf(response);
  const data = response.status === 204 ? undefined : await response.json();
  return { data: data as T, status: response.status, headers: response.headers };
}

async function reach(address: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(address, request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
}

export function addressOf(path: string, params: Query = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  return query.size ? `${path}?${query}` : path;
}

/** A socket to our own site. */
export function openSocket(path: string): WebSocket {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${location.host}${path}`);
}

/** From the cookie, where a sign-in in another tab leaves the new one. */
export function csrfToken(): string {
  const found = document.cookie.split("; ").find((cookie) => cookie.startsWith("csrftoken="));
  return found ? decodeURIComponent(found.slice("csrftoken=".length)) : "";
}

export const api = {
  get: async <T>(path: string, options: RequestOptions = {}) => (await send<T>("GET", path, undefined, options)).data,
  post: async <T>(path: string, body?: unknown, options: RequestOptions = {}) =>
    (await send<T>("POST", path, body ?? {}, options)).data,
  put: async <T>(path: string, body: unknown, options: RequestOptions = {}) =>
    (await send<T>("PUT", path, body, options)).data,
  patch: async <T>(path: string, body: unknown, options: RequestOptions = {}) =>
    (await send<T>("PATCH", path, body, options)).data,
  delete: async (path: string, options: RequestOptions = {}) => {
    await send<undefined>("DELETE", path, undefined, options);
  },
  /** With status and headers, where an ETag or a Location is needed. */
  send,
};
