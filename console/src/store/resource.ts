/**
 * One read of the API, repeated while a component watches it and the tab is visible. The last answer
 * stays when a later read fails: it is shown greyed, with its age.
 */

import { asFailure, type Failure } from "../api/failure.ts";
import { Cell } from "./cell.ts";
import { stackTime } from "./clock.ts";
import { visible } from "./visibility.ts";

const LONGEST_PAUSE_MS = 30_000;

export interface Reading<T> {
  /** The last good answer. */
  readonly data?: T;
  /** When it was read, in ms. */
  readonly at?: number;
  /** Why the newest read failed; unset after a good one. */
  readonly failure?: Failure;
  /** How often it is read, in ms. */
  readonly everyMs: number;
}

/** Pause before the next read in ms: the interval, doubled with each failure in a row. */
export function pauseAfter(everyMs: number, failures: number, random: number): number {
  const longest = Math.max(everyMs, LONGEST_PAUSE_MS);
  const pause = Math.min(longest, everyMs * 2 ** failures);
  return failures ? pause * (0.75 + random / 2) : pause;
}

export class Resource<T> {
  readonly cell: Cell<Reading<T>>;
  readonly #fetch: () => Promise<T>;
  readonly #interval: () => number;
  #watchers = 0;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;
  #again = false;
  #outdated = false;
  #stopFollowing: (() => void) | undefined;

  /** @param interval how often to read in ms; asked for before each pause, since it may change. */
  constructor(fetch: () => Promise<T>, interval: () => number) {
    this.#fetch = fetch;
    this.#interval = interval;
    this.cell = new Cell<Reading<T>>({ everyMs: interval() });
  }

  /** Read it repeatedly until the returned function is called. */
  watch(): () => void {
    this.#watchers += 1;
    const { at } = this.cell.value;
    if (this.#watchers === 1) {
      this.#stopFollowing = visible.watch((seen) => void (seen ? this.refresh() : this.#pause()));
      if (this.#outdated || at === undefined || stackTime() - at >= this.#interval()) void this.refresh();
      else this.#schedule();
    }
    return () => {
      this.#watchers -= 1;
      if (this.#watchers) return;
      this.#stopFollowing?.();
      this.#pause();
    };
  }

  /** Whether a component shows it. */
  get watched(): boolean {
    return this.#watchers > 0;
  }

  /** Something changed: read it now if anyone can see it, else when it is shown. */
  invalidate(): void {
    this.#outdated = true;
    if (this.#watchers && visible.value) void this.refresh();
  }

  /** Read it now: after a change, or because it is asked for. */
  async refresh(): Promise<void> {
    if (this.#reading) {
      this.#again = true; // What is under way may have been read before the change.
      return;
    }
    this.#pause();
    this.#reading = true;
    this.#outdated = false;
    try {
      const data = await this.#fetch();
      this.#failures = 0;
      this.cell.set({ data, at: stackTime(), everyMs: this.#interval() });
    } catch (error) {
      this.#failures += 1;
      const { data, at } = this.cell.value;
      this.cell.set({ data, at, failure: asFailure(error), everyMs: this.#interval() });
    }
    this.#reading = false;
    if (this.#again) {
      this.#again = false;
      await this.refresh();
      return;
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#pause();
    if (!this.#watchers || !visible.value) return;
    const pause = pauseAfter(this.#interval(), this.#failures, Math.random());
    this.#timer = setTimeout(() => void this.refresh(), pause);
  }

  #pause(): void {
    clearTimeout(this.#timer);
  }
}
