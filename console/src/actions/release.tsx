/** Release the kill switch: what would pass then, a reason, and the account's last digits. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { SetKillSwitchResponse } from "../../gen/api.ts";
import { write } from "../api/client.ts";
import { Failure } from "../api/failure.ts";
import { CONFIRM_DIGITS, confirmsAccount } from "../model/account.ts";
import { titleOf } from "../model/checks.ts";
import { trippedLimits } from "../model/verdict.ts";
import { commonReasons } from "../model/why.ts";
import { Actor } from "../parts/actor.tsx";
import { Time } from "../parts/age.tsx";
import { Facts } from "../parts/facts.tsx";
import { Modal } from "../parts/modal.tsx";
import { refresh, useRead } from "../store/readings.ts";
import { useAction } from "./action.ts";
import { Confirmed, Failed, Field, Footer, NeedsKey } from "./parts.tsx";

interface Faults {
  readonly reason?: string;
  readonly digits?: string;
  readonly breaker?: string;
}

export function ReleaseDialog(): JSX.Element {
  const state = useRead("/api/kill-switch");
  const limits = useRead("/api/risk/limits");
  const readiness = useRead("/api/trade/readiness");
  const account = useRead("/api/oanda/account");
  const [reason, setReason] = useState("");
  const [digits, setDigits] = useState("");
  const [acknowledged, acknowledge] = useState(false);
  const [faults, setFaults] = useState<Faults>({});
  const action = useAction<SetKillSwitchResponse>();
  const tripped = trippedLimits(limits.data);
  const release = async (event: Event): Promise<void> => {
    event.preventDefault();
    const found: Faults = {
      reason: reason.trim() ? undefined : "a release needs a reason",
      digits: account.data
        ? confirmsAccount(digits, account.data.id)
          ? undefined
          : "these are not the account's last digits"
        : "the account can't be read, so it can't be confirmed",
      breaker: tripped.length && !acknowledged ? "the breaker has to be acknowledged" : undefined,
    };
    setFaults(found);
    if (Object.values(found).some(Boolean)) return;
    await action.run(async () => {
      const body = { kill_switch: false, reason: reason.trim(), acknowledge_breaker: tripped.length > 0 };
      const answer = await write("/api/kill-switch", body);
      if (answer.kill_switch !== false) throw new Failure("NOT_RELEASED", "the answer does not say released", 200);
      return answer;
    });
    refresh("/api/status", "/api/kill-switch", "/api/trade/readiness", "/api/risk/limits");
  };
  if (action.done) {
    return (
      <Modal title="Release the kill switch" tone="good">
        <Confirmed>
          <strong>Released</strong> at <Time ms={action.done.ts_ms} />: entries may pass.
        </Confirmed>
        <Footer cancel="Close" />
      </Modal>
    );
  }
  const others = (readiness.data?.readiness ?? []).map((r) => ({
    ...r,
    reasons: r.reasons.filter((x) => x !== "KILL_SWITCH" && x !== "BREAKER_TRIPPED"),
  }));
  const blocking = commonReasons(others).slice(0, 5);
  return (
    <Modal title="Release the kill switch" tone="bad">
      <Facts
        of={[
          ["Engaged by", state.data ? <Actor key="a" name={state.data.actor} /> : "unknown"],
          ["Because", state.data?.reason || "no reason given"],
          ["Since", <Time key="t" ms={state.data?.ts_ms} />],
          ["Breaker", limits.data ? (tripped.length ? `tripped: ${tripped.join(", ")}` : "not tripped") : "unknown"],
          ["Ready once released", readiness.data ? readyText(others) : "unknown"],
          ["Still in the way", blocking.map((b) => `${titleOf(b.reason)} (${b.count})`).join(", ") || "nothing"],
        ]}
      />
      <Failed failure={action.failure} what="Not released, as far as this console knows." />
      <form onSubmit={(event) => void release(event)}>
        <NeedsKey />
        {tripped.length > 0 && (
          <Field label="" fault={faults.breaker}>
            {() => (
              <span class="check">
                <input
                  type="checkbox"
                  aria-label="Acknowledge the breaker"
                  checked={acknowledged}
                  onChange={(e) => acknowledge(e.currentTarget.checked)}
                />{" "}
                I looked at the breaker. Daily loss, drawdown and turnover are measured anew from now on.
              </span>
            )}
          </Field>
        )}
        <Field label="Reason" required fault={faults.reason}>
          {(props) => (
            <input {...props} maxLength={400} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
          )}
        </Field>
        <Field
          label={`The account's last ${CONFIRM_DIGITS} digits`}
          required
          hint={`${masked(account.data?.id)}; hyphens do not count. The whole number stands in Overview under Account, and in System.`}
          fault={faults.digits}
        >
          {(props) => (
            <input
              {...props}
              inputMode="numeric"
              autocomplete="off"
              value={digits}
              onInput={(e) => setDigits(e.currentTarget.value)}
            />
          )}
        </Field>
        <Footer>
          <button class="danger" type="submit" aria-disabled={action.busy}>
            {action.busy ? "Releasing…" : "Release"}
          </button>
        </Footer>
      </form>
    </Modal>
  );
}

function readyText(readiness: ReadonlyArray<{ reasons: readonly string[] }>): string {
  return `${readiness.filter((r) => !r.reasons.length).length} of ${readiness.length} instruments`;
}

/** The account with its last digits hidden: they have to be known, not copied. */
function masked(id: string | undefined): string {
  if (!id) return "account unreadable";
  let left = CONFIRM_DIGITS;
  return [...id]
    .reverse()
    .map((c) => (/\d/.test(c) && left-- > 0 ? "•" : c))
    .reverse()
    .join("");
}
