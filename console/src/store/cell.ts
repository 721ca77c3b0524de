/** A value that components watch. */

import { useEffect, useState } from "preact/hooks";

export class Cell<T> {
  #value: T;
  readonly #watchers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Change it; watchers run only if it differs. */
  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const watcher of [...this.#watchers]) watcher(value);
  }

  /** Call a function on each change; returns how to stop. */
  watch(watcher: (value: T) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** The value of a cell in a component. */
export function useCell<T>(cell: Cell<T>): T {
  const [, render] = useState({});
  useEffect(() => {
    const seen = cell.value;
    const stop = cell.watch(() => render({}));
    if (!Object.is(seen, cell.value)) render({});
    return stop;
  }, [cell]);
  return cell.value;
}
