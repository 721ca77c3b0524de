/** Which markets are open, and when that changes. */

import type { JSX } from "preact";
import type { Pair } from "../../gen/api.ts";
import { hoursOf } from "../model/hours.ts";
import { Until } from "../parts/age.tsx";
import { Panel } from "../parts/panel.tsx";
import { Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

export function MarketHours(): JSX.Element {
  const pairs = useRead("/api/pairs");
  return (
    <Panel title="Market hours" of={[pairs]}>
      {pairs.data && <Hours of={pairs.data.pairs} />}
    </Panel>
  );
}

function Hours({ of }: { of: readonly Pair[] }): JSX.Element {
  const open = of.filter((p) => p.open).length;
  return (
    <>
      <p>
        {open ? `${open} of ${of.length} open` : "The market is closed. Ages grow until it opens; that is as it should be."}
      </p>
      <Table
        caption="Market hours"
        rows={hoursOf(of)}
        keyOf={(h) => h.pair.instrument}
        columns={[
          { title: "Instruments", cell: (h) => (h.instruments.length === of.length ? "all" : h.instruments.join(", ")) },
          {
            title: "State",
            cell: ({ pair }) => (
              <span class="num">
                <Mark tone={pair.open ? "good" : "unknown"} /> {pair.open ? "open" : "closed"}
              </span>
            ),
          },
          { title: "Sessions", cell: ({ pair }) => pair.session?.active.join(", ") || "–" },
          { title: "Next", num: true, cell: ({ pair }) => <Next pair={pair} /> },
        ]}
      />
    </>
  );
}

function Next({ pair: { session } }: { pair: Pair }): JSX.Element {
  if (session?.closes_at_ms !== undefined) {
    return (
      <>
        closes in <Until ms={session.closes_at_ms} />
      </>
    );
  }
  if (session?.opens_at_ms !== undefined) {
    return (
      <>
        opens in <Until ms={session.opens_at_ms} />
      </>
    );
  }
  return <>{session?.open ? "always open" : "–"}</>;
}
