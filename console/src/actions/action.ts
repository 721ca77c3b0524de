/** A write under way: nothing is shown as done before the answer confirms it. */

import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";

export interface Action<T> {
  readonly busy: boolean;
  readonly done?: T;
  readonly failure?: Failure;
  /** Carry it out; a second call while one is under way does nothing. */
  readonly run: (call: () => Promise<T>) => Promise<T | undefined>;
}

type State<T> = Omit<Action<T>, "run">;

export function useAction<T>(): Action<T> {
  const [state, set] = useState<State<T>>({ busy: false });
  const run = async (call: () => Promise<T>): Promise<T | undefined> => {
    if (state.busy) return undefined;
    set({ busy: true });
    try {
      const done = await call();
      set({ busy: false, done });
      return done;
    } catch (error) {
      set({ busy: false, failure: asFailure(error) });
      return undefined;
    }
  };
  return { ...state, run };
}
