/**
 * One stream of server-sent events over `fetch`, so that a key works. It is open while somebody wants
 * it and the tab is visible, and opened again with growing pauses when it breaks.
 */

import { follow } from "../api/client.ts";
import { asFailure, Failure } from "../api/failure.ts";
import { keyChanges } from "../api/key.ts";
import { visible } from "./visibility.ts";

/** A heartbeat comes after 15 s of silence: a connection without one is dead. */
const SILENCE_MS = 40_000;
/** A tab or a view that is left for a moment keeps its connection. */
const CLOSE_AFTER_MS = 10_000;

export type StreamState = "off" | "connecting" | "live" | "waiting";

export interface Follower {
  /** Path and query of the next connection. */
  readonly url: () => string;
  /** The data of one event; may throw a Failure, which ends the connection. */
  readonly take: (data: string) => void;
  /** Called with each new state, and with why where one failed. */
  readonly state: (state: StreamState, failure?: Failure) => void;
}

/** Pause before the next connection in ms. */
export function reconnectPause(failures: number, random: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(failures, 6)) * (0.5 + random / 2);
}

const all: Connection[] = [];

/**
 * Close the tab's streams for a moment, before a call that must not wait: over HTTP/1.1 a browser opens
 * six connections to an address, and the streams of several windows may hold all of them.
 */
export function makeWay(): void {
  for (const connection of all) connection.makeWay();
}

export class Connection {
  readonly #follower: Follower;
  readonly #closeAfterMs: number;
  #wanted = 0;
  #abort: AbortController | undefined;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing: ReturnType<typeof setTimeout> | undefined;

  /** @param closeAfterMs how long it stays open while the tab is hidden. */
  constructor(follower: Follower, closeAfterMs = CLOSE_AFTER_MS) {
    this.#follower = follower;
    this.#closeAfterMs = closeAfterMs;
    all.push(this);
    visible.watch(() => this.#follow());
    keyChanges.watch(() => {
      this.#close();
      this.#follow();
    });
  }

  /** Keep it open until the returned function is called. */
  want(): () => void {
    this.#wanted += 1;
    this.#follow();
    return () => {
      this.#wanted -= 1;
      this.#follow();
    };
  }

  /** Close it, and open it again when another call had the time to take its place. */
  makeWay(): void {
    if (!this.#abort) return;
    this.#close();
    this.#timer = setTimeout(() => this.#follow(), reconnectPause(1, Math.random()));
  }

  #follow(): void {
    clearTimeout(this.#closing);
    if (!this.#wanted || !visible.value) this.#closing = setTimeout(() => this.#close(), this.#closeAfterMs);
    else if (!this.#abort) this.#open();
  }

  #open(): void {
    clearTimeout(this.#timer);
    const abort = new AbortController();
    this.#abort = abort;
    this.#follower.state("connecting");
    this.#read(abort).catch((error: unknown) => {
      if (this.#abort !== abort) return; // closed on purpose
      this.#abort = undefined;
      this.#follower.state("waiting", asFailure(error));
      this.#timer = setTimeout(() => this.#follow(), reconnectPause(this.#failures++, Math.random()));
    });
  }

  #close(): void {
    clearTimeout(this.#timer);
    const abort = this.#abort;
    this.#abort = undefined;
    abort?.abort();
    this.#follower.state("off");
  }

  async #read(abort: AbortController): Promise<void> {
    let silence: ReturnType<typeof setTimeout> | undefined;
    const listen = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    listen();
    try {
      for await (const data of follow(this.#follower.url(), abort.signal)) {
        listen();
        this.#take(data);
      }
      throw new Failure("STREAM_ENDED", "the stream ended", 0);
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  #take(data: string): void {
    this.#follower.take(data); // Throws where it is an error.
    this.#failures = 0;
    this.#follower.state("live");
  }
}
