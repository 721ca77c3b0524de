/** What research put into force: the parameters of each instrument, and every change of them. */

import type { JSX } from "preact";
import type { ParametersInForce } from "../../gen/api.ts";
import { parametersDeed } from "../model/audit.ts";
import { figure } from "../model/decimals.ts";
import { linkTo } from "../model/route.ts";
import { Time } from "../parts/age.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

const MOST_CHANGES = 50;

export function Parameters(): JSX.Element {
  const parameters = useRead("/api/parameters");
  const rows = parameters.data?.parameters ?? [];
  return (
    <Panel title="Parameters in force" of={[parameters]} wide>
      {rows.length ? (
        <Table
          caption="Parameters in force"
          rows={rows}
          keyOf={(p) => p.instrument}
          columns={[
            { title: "Instrument", cell: (p) => <a href={linkTo("instrument", p.instrument)}>{p.instrument}</a> },
            { title: "From", cell: (p) => <Origin of={p} /> },
            { title: "Since", cell: (p) => (p.change ? <Time ms={p.change.ts_ms} /> : "–") },
            { title: "Values", cell: (p) => <Values of={p} /> },
          ]}
        />
      ) : (
        <Empty>No instrument is configured.</Empty>
      )}
    </Panel>
  );
}

function Origin({ of: { fault, change } }: { of: ParametersInForce }): JSX.Element {
  if (fault) {
    return (
      <>
        <Mark tone="bad" /> invalid, so its gate stays closed: {fault}
      </>
    );
  }
  return <>{change ? change.run || "a roll back" : "defaults, or set by hand"}</>;
}

function Values({ of: { values } }: { of: ParametersInForce }): JSX.Element {
  const text = Object.entries(values)
    .map(([name, value]) => `${name} ${figure(value)}`)
    .join(", ");
  return <small>{text || "–"}</small>;
}

export function ParameterChanges(): JSX.Element {
  const changes = useRead("/api/parameters/history", { limit: MOST_CHANGES });
  const rows = changes.data?.changes ?? [];
  return (
    <Panel title="Who changed parameters" of={[changes]} wide>
      {rows.length ? (
        <Table
          caption="Changes of parameters, newest first"
          rows={rows}
          keyOf={(c) => c.id}
          columns={[
            { title: "When", cell: (c) => <Time ms={c.ts_ms} /> },
            { title: "Who", cell: (c) => c.actor },
            { title: "What", cell: (c) => parametersDeed(c) },
            { title: "Instruments", cell: (c) => c.changed.map((i) => i.instrument).join(", ") },
            { title: "Because", cell: (c) => c.reason },
          ]}
        />
      ) : (
        <Empty>Nothing was promoted yet.</Empty>
      )}
    </Panel>
  );
}
