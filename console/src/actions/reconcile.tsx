/** A dry run of the guard's next cycle: what it would order now, and why. Nothing is sent. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ReconcileResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { keyChanges, keyPlace } from "../api/key.ts";
import { grouped } from "../model/decimals.ts";
import { Time } from "../parts/age.tsx";
import { Modal } from "../parts/modal.tsx";
import { Loading, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { useAction } from "./action.ts";
import { Failed, Footer, NeedsKey } from "./parts.tsx";

export function ReconcileDialog(): JSX.Element {
  const changes = useCell(keyChanges);
  const action = useAction<ReconcileResponse>();
  const [keyless, setKeyless] = useState(false);
  const run = (): void => {
    setKeyless(keyPlace.value === "none");
    if (keyPlace.value !== "none") void action.run(() => write("/api/trade/reconcile", { dry_run: true }));
  };
  useEffect(() => {
    if (keyPlace.value !== "none") run();
  }, [changes]);
  return (
    <Modal title="Reconcile, dry run: nothing is sent">
      <NeedsKey />
      {keyless && (
        <p class="invalid" role="alert">
          <Mark tone="bad" /> A dry run needs a write key; enter it above.
        </p>
      )}
      {action.busy && <Loading />}
      <Failed failure={action.failure} what="The dry run failed." />
      {action.done && (
        <>
          <p>
            Cycle <code>{action.done.cycle_id}</code> at <Time ms={action.done.ts_ms} />
          </p>
          <Table
            caption="What a cycle would do now"
            rows={action.done.actions}
            keyOf={(a) => a.instrument}
            columns={[
              { title: "Instrument", cell: (a) => a.instrument },
              { title: "Action", cell: (a) => a.kind.replace("ACTION_KIND_", "").toLowerCase() },
              { title: "Held", num: true, cell: (a) => grouped(a.current_units) },
              { title: "Target", num: true, cell: (a) => grouped(a.target_units) },
              { title: "Reasons", cell: (a) => a.reasons.join(", ") },
            ]}
          />
        </>
      )}
      <Footer cancel="Close">
        <button type="button" onClick={run} aria-disabled={action.busy}>
          {action.done ? "Run again" : "Run"}
        </button>
      </Footer>
    </Modal>
  );
}
