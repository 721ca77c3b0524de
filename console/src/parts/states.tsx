/** States that every view has: nothing yet, nothing there, a fault, and a part that is not installed. */

import type { ComponentChildren, JSX } from "preact";
import type { Failure } from "../api/failure.ts";
import { openDialog } from "../store/dialog.ts";

export function Loading(): JSX.Element {
  return (
    <p class="empty" role="status">
      Reading…
    </p>
  );
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty">{children}</p>;
}

/** A fault in words, with its stable reason. What is shown below it is older than it. */
export function FailureNote({ failure }: { failure: Failure }): JSX.Element {
  return (
    <div class="fault" role="status">
      <Mark tone="bad" /> <strong>{failure.reason}</strong> {failure.message}
      {failure.needsKey && (
        <button type="button" onClick={() => openDialog({ kind: "key" })}>
          Enter a key
        </button>
      )}
    </div>
  );
}

/** A part of the stack that this installation does not have. */
export function Absent({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="absent">
      <h2>{title}: not available in this installation</h2>
      {children}
    </div>
  );
}

const SIGNS = { good: "●", caution: "▲", bad: "■", unknown: "?" } as const;

/** A tone as a shape of its own, so that colour is never alone. */
export function Mark({ tone }: { tone: keyof typeof SIGNS }): JSX.Element {
  return (
    <span class={`mark ${tone}`} aria-hidden="true">
      {SIGNS[tone]}
    </span>
  );
}
