/** Drain: close what is over the cap while the kill switch is engaged. The plan first, then instrument by instrument. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { DrainClose, PlanDrainResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { keyChanges, keyPlace } from "../api/key.ts";
import { money } from "../model/decimals.ts";
import { Facts } from "../parts/facts.tsx";
import { Modal } from "../parts/modal.tsx";
import { Loading, Mark } from "../parts/states.tsx";
import { useCell } from "../store/cell.ts";
import { openDialog } from "../store/dialog.ts";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Closes } from "./closes.tsx";
import { Confirmed, Failed, Footer, NeedsKey } from "./parts.tsx";

interface Outcome {
  readonly closes: readonly DrainClose[];
  readonly remaining: string;
}

export function DrainDialog(): JSX.Element {
  const changes = useCell(keyChanges);
  const [progress, setProgress] = useState("");
  const plan = useAction<PlanDrainResponse>();
  const deed = useAction<Outcome>();
  useEffect(() => {
    if (keyPlace.value !== "none") void plan.run(() => write("/api/drain/plan", {}));
  }, [changes]);
  const drain = async (event: Event, planned: PlanDrainResponse): Promise<void> => {
    event.preventDefault();
    await deed.run(() => execute(planned, setProgress));
    setProgress("");
    refresh("/api/oanda/positions", "/api/oanda/open-trades", "/api/oanda/account", "/api/risk/budget");
  };
  const planned = plan.done;
  return (
    <Modal title="Drain: close what is over the cap" tone={deed.done ? "good" : "bad"}>
      <NeedsKey />
      {plan.busy && <Loading />}
      <Failed failure={plan.failure} what="The plan can't be made." />
      {planned && (
        <Facts
          of={[
            ["Margin in use", money(planned.margin_used)],
            ["Cap", money(planned.margin_cap)],
            ["Over the cap", money(planned.excess)],
          ]}
        />
      )}
      {planned && !deed.done && <Closes of={planned.closes} caption="What would be closed" />}
      {deed.done && (
        <>
          <Confirmed>
            <strong>Done.</strong> Still over the cap: {money(deed.done.remaining)}
          </Confirmed>
          <Closes of={deed.done.closes} caption="What was closed" />
        </>
      )}
      <Failed failure={deed.failure} what="The drain stopped. What was sent before stands; a new plan shows the rest." />
      {planned && !planned.kill_switch && (
        <p class="fault">
          <Mark tone="caution" /> A drain needs an engaged kill switch.{" "}
          <button type="button" onClick={() => openDialog({ kind: "engage" })}>
            Engage…
          </button>
        </p>
      )}
      {progress && <p role="status">{progress}</p>}
      <Footer cancel={deed.done ? "Close" : "Cancel"}>
        {planned && planned.kill_switch && planned.closes.length > 0 && !deed.done && (
          <button class="danger" type="button" aria-disabled={deed.busy} onClick={(e) => void drain(e, planned)}>
            {deed.busy ? "Closing…" : `Close ${planned.closes.length}`}
          </button>
        )}
      </Footer>
    </Modal>
  );
}

/** One instrument after another: each close's outcome is known before the next is sent. */
async function execute(plan: PlanDrainResponse, report: (text: string) => void): Promise<Outcome> {
  const closes: DrainClose[] = [];
  let remaining = plan.excess;
  for (const [index, { instrument }] of plan.closes.entries()) {
    report(`${index + 1} of ${plan.closes.length}: ${instrument}`);
    const answer = await write("/api/drain/execute", { drain_id: plan.drain_id, instrument });
    closes.push(...answer.closes);
    remaining = answer.remaining_excess;
  }
  return { closes, remaining };
}
