/** The services' loops: when each last succeeded, how late it starts, how often it failed. */

import type { JSX } from "preact";
import { figure, grouped } from "../model/decimals.ts";
import { loopsOf } from "../model/loops.ts";
import { Age } from "../parts/age.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

export function Loops(): JSX.Element {
  const metrics = useRead("/metrics");
  const rows = loopsOf(metrics.data ?? "");
  return (
    <Panel title="Loops" of={[metrics]} wide>
      {rows.length ? (
        <Table
          caption="Loops, by service"
          rows={rows}
          keyOf={(l) => `${l.service} ${l.name}`}
          columns={[
            { title: "Service", cell: (l) => l.service },
            { title: "Loop", cell: (l) => l.name.replaceAll("_", " ") },
            { title: "Last success", num: true, cell: (l) => (l.succeededMs ? <Age at={l.succeededMs} /> : "–") },
            { title: "Late by", num: true, cell: (l) => seconds(l.lag) },
            { title: "Mean duration", num: true, cell: (l) => seconds(l.mean) },
            { title: "Failures", num: true, cell: (l) => grouped(String(l.failures)) },
          ]}
        />
      ) : (
        <Empty>No service answered.</Empty>
      )}
      <p class="dim">
        A service that does not answer is not listed. Failures are those since it started; streams of the broker have no
        ticks, and count what broke.
      </p>
    </Panel>
  );
}

const seconds = (value: number | undefined): string => (value === undefined ? "–" : `${figure(value, 2)} s`);
