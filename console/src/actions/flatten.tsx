/** Flatten: the plan first, then a confirmation, then what was closed. It can be continued. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { FlattenResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { Modal } from "../parts/modal.tsx";
import { Loading, Mark } from "../parts/states.tsx";
import { makeWay } from "../store/connection.ts";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Closes } from "./closes.tsx";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";
import { keyChanges, keyPlace } from "../api/key.ts";
import { useCell } from "../store/cell.ts";

export function FlattenDialog(): JSX.Element {
  const changes = useCell(keyChanges);
  const [reason, setReason] = useState("");
  const [manual, setManual] = useState(false);
  const [fault, setFault] = useState("");
  const plan = useAction<FlattenResponse>();
  const deed = useAction<FlattenResponse>();
  useEffect(() => {
    if (keyPlace.value === "none") return;
    void plan.run(() => write("/api/flatten", { reason: "a plan", include_manual: manual, dry_run: true }));
  }, [manual, changes]);
  const flatten = async (event: Event): Promise<void> => {
    event.preventDefault();
    setFault(reason.trim() ? "" : "a flatten needs a reason");
    if (!reason.trim()) return;
    const earlier = deed.done?.flatten_id;
    const body = { reason: reason.trim(), include_manual: manual, ...(earlier ? { flatten_id: earlier } : {}) };
    if (!deed.busy) makeWay();
    await deed.run(() => write("/api/flatten", body));
    refresh("/api/status", "/api/kill-switch", "/api/oanda/positions", "/api/oanda/open-trades", "/api/oanda/account");
  };
  const { done } = deed;
  return (
    <Modal title="Flatten: engage the kill switch and close everything" tone={done?.complete ? "good" : "bad"}>
      {done ? <Outcome of={done} /> : null}
      {!done && plan.busy && <Loading />}
      {!done && plan.done && <Closes of={plan.done.remaining} caption="What would be closed" />}
      <Failed failure={plan.failure} what="The plan can't be made." />
      <Failed failure={deed.failure} what="Not everything was closed, as far as this console knows. Positions may be open." />
      <form onSubmit={(event) => void flatten(event)}>
        <NeedsKey />
        {!done && (
          <label class="check">
            <input type="checkbox" checked={manual} onChange={(e) => setManual(e.currentTarget.checked)} /> Close what was
            opened by hand, too
          </label>
        )}
        {!done?.complete && (
          <Field label="Reason" required fault={fault}>
            {(props) => (
              <input {...props} maxLength={400} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
            )}
          </Field>
        )}
        <Footer cancel={done ? "Close" : "Cancel"}>
          {!done?.complete && (
            <button class="danger" type="submit" aria-disabled={deed.busy}>
              {deed.busy ? "Closing…" : done ? "Continue" : "Engage and close"}
            </button>
          )}
        </Footer>
      </form>
    </Modal>
  );
}

function Outcome({ of }: { of: FlattenResponse }): JSX.Element {
  return (
    <>
      {of.complete ? (
        <Confirmed>
          <strong>Flat.</strong> Nothing is left of what was to be closed; the kill switch is engaged.
        </Confirmed>
      ) : (
        <div class="loud bad" role="alert">
          <Mark tone="bad" /> <strong>Not flat yet.</strong> The kill switch is engaged; this is still held:
          <Closes of={of.remaining} caption="What is still held" />
        </div>
      )}
      <h3>Sent</h3>
      <Closes of={of.closes} caption="Closes that were sent" />
    </>
  );
}
