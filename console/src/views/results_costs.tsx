/** Costs by every group that the journal adds them up by. */

import type { JSX } from "preact";
import type { CostParts } from "../../gen/api.ts";
import { type GroupBy, GROUPS_BY, totalOf } from "../model/results.ts";
import type { Route } from "../model/route.ts";
import { LinkChoice } from "../parts/choices.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

export const PART_TITLES: ReadonlyArray<readonly [part: keyof CostParts, title: string]> = [
  ["signal", "Signal"],
  ["half_spread", "Half spread"],
  ["delay", "Delay"],
  ["slippage", "Slippage"],
  ["financing", "Financing"],
  ["conversion", "Conversion"],
  ["commission", "Commission"],
  ["other", "Other"],
];

const GROUP_TITLES: Readonly<Record<GroupBy, string>> = {
  instrument: "Instrument",
  hour: "Hour (UTC)",
  session: "Session",
  weekday: "Weekday (New York)",
};

interface Props {
  readonly at: Route;
  readonly by: GroupBy;
  readonly from: string | undefined;
  readonly instrument: string;
}

export function Costs({ at, by, from, instrument }: Props): JSX.Element {
  const costs = useRead("/api/journal/costs", { group_by: by, from, instrument: instrument || undefined });
  const groups = costs.data?.costs ?? [];
  const total = totalOf(groups);
  const choice = (
    <LinkChoice label="Costs by" at={at} name="by" value={by} of={GROUPS_BY.map((g) => [g, g] as const)} />
  );
  return (
    <Panel title={`Costs by ${by}`} of={[costs]} aside={choice} wide>
      {total ? (
        <Table
          caption={`Sums by ${by}`}
          rows={groups.length > 1 ? [...groups, total] : groups}
          keyOf={(g) => g.group}
          columns={[
            { title: GROUP_TITLES[by], cell: (g) => g.group },
            { title: "Trades", num: true, cell: (g) => g.trades },
            { title: "Net", amount: (g) => g.net_pl },
            ...PART_TITLES.map(([part, title]) => ({ title, amount: (g: (typeof groups)[number]) => g.parts?.[part] })),
          ]}
        />
      ) : (
        <Empty>No trade was opened in this range.</Empty>
      )}
      <p class="dim">
        Trades count where they were opened. Signal is what the direction earned once all costs are taken out; the parts
        add up to the net result.
      </p>
    </Panel>
  );
}
