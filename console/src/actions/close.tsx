/** Close one position: the plan first, then a confirmation, then what was closed. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { FlattenResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { keyChanges, keyPlace } from "../api/key.ts";
import { linkTo } from "../model/route.ts";
import { Modal } from "../parts/modal.tsx";
import { Loading, Mark } from "../parts/states.tsx";
import { useCell } from "../store/cell.ts";
import { closeDialog } from "../store/dialog.ts";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Closes } from "./closes.tsx";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";

export function CloseDialog({ instrument }: { instrument: string }): JSX.Element {
  const changes = useCell(keyChanges);
  const [reason, setReason] = useState("");
  const [manual, setManual] = useState(false);
  const [fault, setFault] = useState("");
  const plan = useAction<FlattenResponse>();
  const deed = useAction<FlattenResponse>();
  const call = (members: { reason: string; dry_run?: boolean; flatten_id?: string }): Promise<FlattenResponse> =>
    write("/api/flatten", { instrument, include_manual: manual, ...members });
  useEffect(() => {
    if (keyPlace.value !== "none") void plan.run(() => call({ reason: "a plan", dry_run: true }));
  }, [manual, changes]);
  const close = async (event: Event): Promise<void> => {
    event.preventDefault();
    setFault(reason.trim() ? "" : "a close needs a reason");
    if (!reason.trim()) return;
    const earlier = deed.done?.flatten_id;
    await deed.run(() => call({ reason: reason.trim(), ...(earlier ? { flatten_id: earlier } : {}) }));
    refresh("/api/status", "/api/kill-switch", "/api/oanda/positions", "/api/oanda/open-trades");
    refresh("/api/oanda/account", "/api/risk/locks", "/api/trade/readiness");
  };
  const { done } = deed;
  const planned = plan.done;
  const nothing = !done && planned?.remaining.length === 0;
  return (
    <Modal title={`Close ${instrument}`} tone={done?.complete ? "good" : "bad"}>
      {done ? (
        <Outcome of={done} instrument={instrument} />
      ) : (
        <p>
          {instrument} is locked against entries first, until someone lifts the lock: else the next cycle could open it
          again. All other positions and the kill switch stay as they are.
        </p>
      )}
      {!done && plan.busy && <Loading />}
      {!done && planned && <Closes of={planned.remaining} caption="What would be closed" />}
      <Failed failure={plan.failure} what="The plan can't be made." />
      <Failed failure={deed.failure} what="Not closed, as far as this console knows. The position may be open." />
      <form onSubmit={(event) => void close(event)}>
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
        <Footer cancel={done ? "Close this dialog" : "Cancel"}>
          {!done?.complete && !nothing && (
            <button class="danger" type="submit" aria-disabled={deed.busy}>
              {deed.busy ? "Closing…" : done ? "Continue" : `Lock and close ${instrument}`}
            </button>
          )}
        </Footer>
      </form>
    </Modal>
  );
}

function Outcome({ of, instrument }: { of: FlattenResponse; instrument: string }): JSX.Element {
  const lock = (
    <a href={linkTo("instrument", instrument)} onClick={closeDialog}>
      its lock
    </a>
  );
  return (
    <>
      {of.complete ? (
        <Confirmed>
          <strong>Closed.</strong> Nothing is left of what was to be closed. It takes entries again once someone lifts{" "}
          {lock}.
        </Confirmed>
      ) : (
        <div class="loud bad" role="alert">
          <Mark tone="bad" /> <strong>Not closed yet.</strong> This is still held:
          <Closes of={of.remaining} caption="What is still held" />
        </div>
      )}
      <h3>Sent</h3>
      <Closes of={of.closes} caption="Closes that were sent" />
    </>
  );
}
