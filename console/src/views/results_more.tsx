/** What not every journal has: files of trades, and how far live differs from its replay. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useAction } from "../actions/action.ts";
import { Failed } from "../actions/parts.tsx";
import { download, probe, queryText } from "../api/client.ts";
import { type Cause, daysOf, type DivergenceDay } from "../model/divergence.ts";
import { Amount } from "../parts/amount.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRoute } from "../store/routes.ts";

const EXPORT = "/api/journal/export";
const DIVERGENCE = "/api/journal/divergence";
const FORMATS = ["csv", "xlsx"] as const;

export function Exports({ from, instrument }: { from: string | undefined; instrument: string }): JSX.Element {
  const listed = useRoute(EXPORT);
  const [saved, setSaved] = useState("");
  const action = useAction<void>();
  const save = (format: string): Promise<void> =>
    action.run(async () => {
      const { name, content } = await download(EXPORT + queryText({ kind: "trades", format, from, instrument }));
      setSaved(saveAs(content, name || `trades.${format}`));
    });
  return (
    <Panel title="Export" of={[]}>
      {listed === false ? (
        <Empty>
          Not available: this stack has no <code>{EXPORT}</code>, so no file can be made here. The table above and{" "}
          <code>GET /api/journal/trades</code> have the same figures.
        </Empty>
      ) : listed === undefined ? (
        <Empty>Whether the stack can export is not known yet.</Empty>
      ) : (
        <div class="tools">
          {FORMATS.map((format) => (
            <button key={format} type="button" aria-disabled={action.busy} onClick={() => void save(format)}>
              Trades as {format.toUpperCase()}
            </button>
          ))}
          {saved && <span role="status">{saved} was handed to the browser.</span>}
        </div>
      )}
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
  const listed = useRoute(DIVERGENCE);
  const [answer, setAnswer] = useState<unknown>();
  const action = useAction<void>();
  useEffect(() => {
    if (listed) void action.run(async () => setAnswer(await probe(DIVERGENCE)));
  }, [listed]);
  const days = daysOf(answer);
  return (
    <Panel title="Divergence" of={[]} wide>
      {listed === false || action.failure?.absent ? (
        <Empty>
          Not available: this stack does not serve how far a day differed from its replay. <code>sep-replay</code> plays
          stored candles on the command line.
        </Empty>
      ) : listed === undefined || action.busy ? (
        <Empty>{listed ? "Reading…" : "Whether the stack compares days with their replay is not known yet."}</Empty>
      ) : action.failure ? null : !days ? (
        <Empty>
          The answer of <code>{DIVERGENCE}</code> has a form that this console does not know.
        </Empty>
      ) : days.length === 0 ? (
        <Empty>No day was compared with its replay yet.</Empty>
      ) : (
        <DivergenceTable of={days} currency={currency} />
      )}
      {!action.failure?.absent && <Failed failure={action.failure} what="Divergence can't be read." />}
    </Panel>
  );
}

function DivergenceTable({ of, currency }: { of: readonly DivergenceDay[]; currency: string }): JSX.Element {
  const rows = of.flatMap((day): Array<{ day: DivergenceDay; cause: Cause | undefined }> => {
    const causes = day.causes.filter((c) => c.differences > 0);
    return causes.length ? causes.map((cause) => ({ day, cause })) : [{ day, cause: undefined }];
  });
  return (
    <>
      <Table
        caption="Live against replay, by day and cause"
        rows={rows}
        keyOf={(r) => `${r.day.day} ${r.cause?.cause}`}
        columns={[
          { title: "Day", cell: (r) => r.day.day },
          { title: "Live", num: true, cell: (r) => <Amount text={r.day.liveNet} /> },
          { title: "Replay", num: true, cell: (r) => <Amount text={r.day.replayNet} /> },
          { title: "Cause", cell: (r) => (r.cause ? <CauseName name={r.cause.cause} /> : "no difference") },
          { title: "Differences", num: true, cell: (r) => r.cause?.differences ?? 0 },
          { title: "Cash", num: true, cell: (r) => (r.cause ? <Amount text={r.cause.cash} /> : "–") },
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
