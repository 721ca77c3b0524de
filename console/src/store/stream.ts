/**
 * The live manifolds, over one connection for the whole tab. It is closed while the tab is in the
 * background, and opened again with growing pauses when it breaks. Each connection begins with the
 * last manifold of every instrument, so nothing needs to be resumed.
 */

import type { Manifold } from "../../gen/api.ts";
import { type Event, headersOfCall } from "../api/client.ts";
import { asFailure, Failure, failureOf } from "../api/failure.ts";
import { keyChanges } from "../api/key.ts";
import { EventParser } from "../api/sse.ts";
import { Cell } from "./cell.ts";
import { stackTime } from "./clock.ts";
import { Samples } from "./samples.ts";
import { visible } from "./visibility.ts";

const PATH = "/api/manifold/stream";
/** Views are drawn at most so often, whatever the rate of events. */
const DRAW_EVERY_MS = 500;
/** A heartbeat comes after 15 s of silence: a connection without one is dead. */
const SILENCE_MS = 40_000;
/** A tab that is left for a moment keeps its connection. */
const CLOSE_AFTER_MS = 10_000;

export type StreamState = "off" | "connecting" | "live" | "waiting";

export interface Live {
  readonly state: StreamState;
  readonly manifolds: ReadonlyMap<string, Manifold>;
  /** When the last event arrived, in ms. */
  readonly at?: number;
  readonly failure?: Failure;
}

export const live = new Cell<Live>({ state: "off", manifolds: new Map() });
/** What the stream sent of each instrument since the tab was opened. */
export const samples = new Samples();

/** Pause before the next connection in ms. */
export function reconnectPause(failures: number, random: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(failures, 6)) * (0.5 + random / 2);
}

class Stream {
  readonly #manifolds = new Map<string, Manifold>();
  #abort: AbortController | undefined;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #draw: ReturnType<typeof setTimeout> | undefined;
  #at: number | undefined;

  start(): void {
    visible.watch((seen) => {
      clearTimeout(this.#closing);
      if (!seen) this.#closing = setTimeout(() => this.close(), CLOSE_AFTER_MS);
      else if (!this.#abort) this.open();
    });
    keyChanges.watch(() => {
      this.close();
      if (visible.value) this.open();
    });
    if (visible.value) this.open();
  }

  open(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#publish("connecting");
    this.#follow(abort).catch((error: unknown) => {
      if (abort.signal.aborted && this.#abort !== abort) return; // closed on purpose
      this.#retry(asFailure(error));
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    const abort = this.#abort;
    this.#abort = undefined;
    abort?.abort();
    this.#publish("off");
  }

  #retry(failure: Failure): void {
    this.#abort = undefined;
    this.#publish("waiting", failure);
    if (!visible.value) return;
    this.#timer = setTimeout(() => this.open(), reconnectPause(this.#failures++, Math.random()));
  }

  async #follow(abort: AbortController): Promise<void> {
    const parser = new EventParser();
    const decoder = new TextDecoder();
    let silence: ReturnType<typeof setTimeout> | undefined;
    const listen = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    listen();
    try {
      const response = await fetch(PATH, {
        headers: headersOfCall(),
        cache: "no-store",
        credentials: "omit",
        signal: abort.signal,
      });
      if (!response.ok || !response.body) throw failureOf(response.status, await response.text());
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Failure("STREAM_ENDED", "the stream ended", 0);
        listen();
        for (const text of parser.push(decoder.decode(value, { stream: true }))) {
          this.#take(JSON.parse(text) as Event<typeof PATH>);
        }
      }
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  #take(event: Event<typeof PATH>): void {
    if (event.error) throw new Failure(event.error.reason, event.error.message, 0);
    this.#failures = 0;
    this.#at = stackTime();
    if (event.manifold) {
      this.#manifolds.set(event.manifold.instrument, event.manifold);
      samples.add(event.manifold);
    }
    this.#draw ??= setTimeout(() => this.#publish("live"), DRAW_EVERY_MS);
  }

  #publish(state: StreamState, failure?: Failure): void {
    clearTimeout(this.#draw);
    this.#draw = undefined;
    live.set({ state, manifolds: new Map(this.#manifolds), at: this.#at, failure });
  }
}

/** Open the one connection of this tab. */
export function startStream(): void {
  new Stream().start();
}
