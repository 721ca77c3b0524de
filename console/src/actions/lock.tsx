/** Lock an instrument against entries, or lift its locks. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { SetLockResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { Modal } from "../parts/modal.tsx";
import { stackTime } from "../store/clock.ts";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";

const HOURS = [1, 4, 12, 24, 72];

export function LockDialog({ instrument, locked }: { instrument: string; locked: boolean }): JSX.Element {
  const [reason, setReason] = useState("");
  const [hours, setHours] = useState("");
  const [fault, setFault] = useState("");
  const action = useAction<SetLockResponse>();
  const title = locked ? `Lock ${instrument}: no entry` : `Lift every lock of ${instrument}`;
  const set = async (event: Event): Promise<void> => {
    event.preventDefault();
    setFault(reason.trim() ? "" : "a reason is needed: it is recorded");
    if (!reason.trim()) return;
    const until = hours ? { until_ms: Math.round(stackTime()) + Number(hours) * 3_600_000 } : {};
    await action.run(() => write("/api/risk/locks", { instrument, locked, reason: reason.trim(), ...(locked ? until : {}) }));
    refresh("/api/risk/locks", "/api/trade/readiness");
  };
  if (action.done) {
    const causes = action.done.locks.map((l) => l.cause).join(", ");
    return (
      <Modal title={title} tone="good">
        <Confirmed>
          <strong>{locked ? "Locked" : "Unlocked"}.</strong> Locks of {instrument} now: {causes || "none"}
        </Confirmed>
        <Footer cancel="Close" />
      </Modal>
    );
  }
  return (
    <Modal title={title}>
      <Failed failure={action.failure} what="Nothing was changed, as far as this console knows." />
      <form onSubmit={(event) => void set(event)}>
        <NeedsKey />
        <Field label="Reason" required fault={fault}>
          {(props) => (
            <input {...props} maxLength={400} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
          )}
        </Field>
        {locked && (
          <Field label="Until">
            {(props) => (
              <select {...props} value={hours} onChange={(e) => setHours(e.currentTarget.value)}>
                <option value="">someone lifts it</option>
                {HOURS.map((h) => (
                  <option key={h} value={h}>
                    {h} h from now
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        <Footer>
          <button class={locked ? "" : "danger"} type="submit" aria-disabled={action.busy}>
            {action.busy ? "Sending…" : locked ? "Lock" : "Unlock"}
          </button>
        </Footer>
      </form>
    </Modal>
  );
}
