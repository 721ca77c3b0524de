/** Who changed what, newest first. */

import type { JSX } from "preact";
import { auditOf, type AuditEntry, RISK_KINDS, type RiskKind } from "../model/audit.ts";
import { grouped } from "../model/decimals.ts";
import { mainRecord, membersOf } from "../model/decisions.ts";
import { linkTo } from "../model/route.ts";
import { Time } from "../parts/age.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { FURTHER, usePastEvents } from "../store/past_events.ts";
import { useRead } from "../store/readings.ts";
import type { Reading } from "../store/resource.ts";

/** Of each source. The record of each risk event that is shown is read once a minute. */
const MOST = 10;

export function Audit(): JSX.Element {
  const killSwitch = useRead("/api/kill-switch");
  const parameters = useRead("/api/parameters/history", { limit: MOST });
  const { events, looked, further } = usePastEvents("kill_switch");
  const risk = RISK_KINDS.map(useRisk);
  const absent = risk.some((r) => r.failure?.absent);
  const rows = auditOf({
    killSwitch: killSwitch.data,
    events,
    risk: risk.flatMap((r) => r.data?.decisions ?? []),
    parameters: parameters.data?.changes ?? [],
  });
  return (
    <Panel title="Who changed what" of={absent ? [killSwitch, parameters] : [killSwitch, parameters, ...risk]} wide>
      {rows.length ? <Entries of={rows} /> : <Empty>Nothing was changed yet.</Empty>}
      <p class="dim">
        {absent
          ? "There is no journal: only parameters and the kill switch's last change are known."
          : `The last ${MOST} locks, unlocks, trips and acknowledgements of the breaker, and changes of parameters. Of the kill switch the last change, and those among the events since this tab was opened${
              looked ? ` and ${grouped(String(looked))} before them` : ""
            }. A flatten engages it first, with its reason.`}{" "}
        {further && (
          <button type="button" onClick={further}>
            Look at {grouped(String(FURTHER))} more
          </button>
        )}
      </p>
    </Panel>
  );
}

function useRisk(kind: RiskKind): Reading<{ decisions: Parameters<typeof auditOf>[0]["risk"] }> {
  return useRead("/api/decisions", { kind, page_size: MOST });
}

function Entries({ of }: { of: readonly AuditEntry[] }): JSX.Element {
  return (
    <Table
      caption="Changes, newest first"
      rows={of}
      keyOf={(e) => `${e.ms} ${e.what} ${e.id ?? ""}`}
      columns={[
        { title: "When", cell: (e) => <Time ms={e.ms} /> },
        { title: "Who", cell: (e) => (e.id ? <Who id={e.id} /> : (e.who ?? "–")) },
        { title: "What", cell: (e) => (e.id ? <a href={linkTo("decisions", e.id)}>{e.what}</a> : e.what) },
        { title: "Because", cell: (e) => <span class="wrap">{e.why || "no reason given"}</span> },
      ]}
    />
  );
}

/** Who made a risk event: lists do not say it, its record does. */
function Who({ id }: { id: string }): JSX.Element {
  const { data, failure } = useRead("/api/decisions/{id}", { id });
  if (!data) return <>{failure ? failure.reason : "…"}</>;
  return <>{membersOf(mainRecord(data)).get("actor") ?? "–"}</>;
}
