/** Engage the kill switch: one key and Enter from any view. It is the one dialog that starts on its deed. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { SetKillSwitchResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { Failure } from "../api/failure.ts";
import { keyPlace } from "../api/key.ts";
import { Actor } from "../parts/actor.tsx";
import { Modal } from "../parts/modal.tsx";
import { Mark } from "../parts/states.tsx";
import { Time } from "../parts/age.tsx";
import { makeWay } from "../store/connection.ts";
import { openDialog } from "../store/dialog.ts";
import { refresh } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";

const TIMEOUT_MS = 8_000;

export function EngageDialog(): JSX.Element {
  const [hadKey] = useState(keyPlace.value !== "none");
  const [reason, setReason] = useState("");
  const action = useAction<SetKillSwitchResponse>();
  const engage = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!action.busy) makeWay();
    await action.run(async () => {
      const body = { kill_switch: true, reason: reason.trim() || "engaged in the console" };
      const answer = await write("/api/kill-switch", body, TIMEOUT_MS);
      // Only the answer's own word counts.
      if (answer.kill_switch !== true) throw new Failure("NOT_ENGAGED", "the answer does not say engaged", 200);
      return answer;
    });
    refresh("/api/status", "/api/kill-switch", "/api/trade/readiness");
  };
  const { done, failure, busy } = action;
  return (
    <Modal title={done ? "Kill switch engaged" : "Engage the kill switch"} tone={done ? "good" : "bad"}>
      {done ? (
        <Confirmed>
          <strong>Engaged</strong> at <Time ms={done.ts_ms} /> by <Actor name={done.actor} />. No entry passes; exits go on.
          {!done.durable && (
            <p>
              <Mark tone="caution" /> In force at guard and gateway, and not on the store's disk yet: it is written when
              the store takes it.
            </p>
          )}
        </Confirmed>
      ) : (
        <p>No entry passes from then on. Stops, exits, drain and flatten go on.</p>
      )}
      <p>
        What is held stays open. To close it, too:{" "}
        <button type="button" onClick={() => openDialog({ kind: "flatten" })}>
          Flatten…
        </button>
      </p>
      <Failed failure={failure} what="NOT ENGAGED, as far as this console knows. Try again, or use a shell." />
      <form onSubmit={(event) => void engage(event)}>
        {!done && (
          <>
            <NeedsKey />
            <Field label="Reason (may be empty)">
              {(props) => (
                <input {...props} maxLength={400} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
              )}
            </Field>
          </>
        )}
        <Footer cancel={done ? "Close" : "Cancel"} startHere={false}>
          {!done && (
            <button class="danger" type="submit" aria-disabled={busy} {...(hadKey ? { "data-start": "" } : {})}>
              {busy ? "Engaging…" : failure ? "Engage again" : "Engage"}
            </button>
          )}
        </Footer>
      </form>
    </Modal>
  );
}
