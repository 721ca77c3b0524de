/** Fetch candles of an instrument from the broker now. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FetchCandlesResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { Modal } from "../parts/modal.tsx";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";

export function FetchDialog({ instrument }: { instrument: string }): JSX.Element {
  const [count, setCount] = useState("500");
  const [fault, setFault] = useState("");
  const action = useAction<FetchCandlesResponse>();
  const fetch = async (event: Event): Promise<void> => {
    event.preventDefault();
    const wanted = Number(count);
    const valid = Number.isInteger(wanted) && wanted >= 1 && wanted <= 200_000;
    setFault(valid ? "" : "a whole number from 1 to 200 000");
    if (!valid) return;
    await action.run(() => write("/api/candles/fetch", { instruments: [instrument], count: wanted }));
    refresh("/api/candles");
  };
  return (
    <Modal title={`Fetch candles of ${instrument}`}>
      {action.done?.stored.map((s) => (
        <Confirmed key={s.instrument}>
          {s.instrument} {s.granularity}: {s.fetched} fetched, {s.stored} new or changed, {s.quarantined} refused
        </Confirmed>
      ))}
      <Failed failure={action.failure} what="Nothing was fetched, as far as this console knows." />
      <form onSubmit={(event) => void fetch(event)}>
        <NeedsKey />
        <Field label="How many, newest first" fault={fault}>
          {(props) => (
            <input {...props} inputMode="numeric" value={count} onInput={(e) => setCount(e.currentTarget.value)} />
          )}
        </Field>
        <Footer cancel="Close">
          <button type="submit" aria-disabled={action.busy}>
            {action.busy ? "Fetching…" : "Fetch"}
          </button>
        </Footer>
      </form>
    </Modal>
  );
}
