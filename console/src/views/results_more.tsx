/** Files of trades, and how far live differs from its replay. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { DivergenceCause, DivergenceDay } from "../../gen/api.ts";
import { useAction } from "../actions/action.ts";
import { Failed } from "../actions/parts.tsx";
import { download, queryText } from "../api/client.ts";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

const EXPORT = "/api/journal/export";
const FORMATS = ["csv", "xlsx"] as const;

export function Exports({ from, instrument }: { from: string | undefined; instrument: string }): JSX.Element {
  const [saved, setSaved] = useState("");
  const action = useAction<void>();
  const save = (format: string): Promise<void> =>
    action.run(async () => {
      const { name, content } = await download(EXPORT + queryText({ kind: "trades", format, from, instrument }));
      setSaved(saveAs(content, name || `trades.${format}`));
    });
  return (
    <Panel title="Export" of={[]}>
      <div class="tools">
        {FORMATS.map((format) => (
          <button key={format} type="button" aria-disabled={action.busy} onClick={() => void save(format)}>
            Trades as {format.toUpperCase()}
          </button>
        ))}
        {saved && <span role="status">{saved} was handed to the browser.</span>}
      </div>
      <Failed failure={action.failure} what="No file was made." />
    </Panel>
  );
}

/** Hand a file to the browser; returns its name. */
function saveAs(content: Blob, name: string): string {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}

export function Divergence({ currency }: { currency: string }): JSX.Element {
  const found = useRead("/api/journal/divergence", { page_size: 30 });
  const days = found.data?.days ?? [];
  return (
    <Panel title="Divergence" of={[found]} wide>
      {days.length === 0 ? (
        <Empty>
          No day was compared with its replay yet. It is done each night by <code>make run</code>, and for any day by{" "}
          <code>sep-replay parity --day</code>.
        </Empty>
      ) : (
        <DivergenceTable of={days} currency={currency} />
      )}
    </Panel>
  );
}

function DivergenceTable({ of, currency }: { of: readonly DivergenceDay[]; currency: string }): JSX.Element {
  const rows = of.flatMap((day): Array<{ day: DivergenceDay; cause: DivergenceCause | undefined }> => {
    const causes = day.causes.filter((c) => c.differences > 0);
    return causes.length ? causes.map((cause) => ({ day, cause })) : [{ day, cause: undefined }];
  });
  return (
    <>
      <Table
        caption="Live against replay, by day and cause"
        rows={rows}
        keyOf={(r) => `${r.day.date} ${r.cause?.cause}`}
        columns={[
          { title: "Day", cell: (r) => r.day.date },
          { title: "Live", amount: (r) => r.day.live_net },
          { title: "Replay", amount: (r) => r.day.replay_net },
          { title: "Cause", cell: (r) => (r.cause ? <CauseName name={r.cause.cause} /> : "no difference") },
          { title: "Differences", num: true, cell: (r) => r.cause?.differences ?? 0 },
          { title: "Cash", amount: (r) => r.cause?.cash },
        ]}
      />
      <p class="dim">Cash is what live earned more than the replay, in {currency}.</p>
    </>
  );
}

function CauseName({ name }: { name: string }): JSX.Element {
  return (
    <>
      {name === "unexplained" && <Mark tone="caution" />} {name}
    </>
  );
}
