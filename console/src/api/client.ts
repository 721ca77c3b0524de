/** Calls of the REST API, typed by its OpenAPI document. Each has a deadline. */

import type { Reads, Streams, Writes } from "../../gen/api.ts";
import { asFailure, failureOf } from "./failure.ts";
import { currentKey } from "./key.ts";
import { EventParser } from "./sse.ts";

/** The one read that answers no JSON. */
const METRICS: keyof Reads = "/metrics";
const READ_TIMEOUT_MS = 12_000;
const DOWNLOAD_TIMEOUT_MS = 120_000;
/** A write that trades may take 60 s at the edge. */
const WRITE_TIMEOUT_MS = 65_000;

export type Query<P extends keyof Reads> = Reads[P]["takes"];
export type Answer<P extends keyof Reads> = Reads[P]["answers"];
export type Body<P extends keyof Writes> = Writes[P]["takes"];
export type Result<P extends keyof Writes> = Writes[P]["answers"];
export type Event<P extends keyof Streams> = Streams[P]["sends"];

/** GET; throws a Failure. */
export async function read<P extends keyof Reads>(path: P, query?: Query<P>): Promise<Answer<P>> {
  return (await call(urlOf(path, query), { method: "GET" }, READ_TIMEOUT_MS)) as Answer<P>;
}

/** POST, never repeated by itself; throws a Failure. */
export async function write<P extends keyof Writes>(
  path: P,
  body: Body<P>,
  timeoutMs = WRITE_TIMEOUT_MS,
): Promise<Result<P>> {
  const headers = { "content-type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) }, timeoutMs)) as Result<P>;
}

/** GET of a file, which the browser then saves; a link could send no key. Throws a Failure. */
export async function download(path: string): Promise<{ readonly name: string; readonly content: Blob }> {
  try {
    const init = { headers: headersOfCall(), cache: "no-store", credentials: "omit" } as const;
    const response = await fetch(path, { ...init, signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok) throw failureOf(response.status, await response.text());
    const named = /filename="?([\w.-]+)/.exec(response.headers.get("content-disposition") ?? "");
    return { name: named?.[1] ?? "", content: await response.blob() };
  } catch (error) {
    throw asFailure(error);
  }
}

/** The data of each server-sent event of a path, until the stream ends. Throws a Failure. */
export async function* follow(url: string, signal: AbortSignal): AsyncGenerator<string> {
  const response = await fetch(url, { headers: headersOfCall(), cache: "no-store", credentials: "omit", signal });
  if (!response.ok || !response.body) throw failureOf(response.status, await response.text());
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => undefined); // It is broken or no longer wanted.
  }
}

/** Headers of every call. */
function headersOfCall(): Record<string, string> {
  const key = currentKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** A path with each `{member}` filled in, and what is left as its query. */
export function urlOf(path: string, query: object | undefined): string {
  const rest: Record<string, unknown> = { ...query };
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    delete rest[name];
    return encodeURIComponent(String(value));
  });
  return filled + queryText(rest);
}

/** The query of a path: unset members are left out, lists repeat their name. */
export function queryText(query: object | undefined): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== "") found.append(name, String(item));
    }
  }
  const text = found.toString();
  return text && `?${text}`;
}

async function call(path: string, init: RequestInit, timeoutMs: number): Promise<unknown> {
  try {
    const response = await fetch(path, {
      ...init,
      headers: { ...init.headers, ...headersOfCall() },
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (!response.ok) throw failureOf(response.status, text);
    return path === METRICS ? text : JSON.parse(text);
  } catch (error) {
    throw asFailure(error);
  }
}
