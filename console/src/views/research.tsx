/** What is promoted, and runs that the user opens. Research itself happens on the command line. */

import type { JSX } from "preact";
import { Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { ParameterChanges, Parameters } from "./research_parameters.tsx";
import { Runs } from "./research_runs.tsx";

const COMMANDS: ReadonlyArray<readonly [command: string, what: string]> = [
  ["make research", "Install the research commands"],
  ["sep-data pull · sep-data import csv FILES --out CATALOGUE", "Get candles from the gateway or from files"],
  ["sep-data check CATALOGUE", "Find what is wrong with them"],
  [
    "sep-research sweep CATALOGUE --grid YAML --walk-forward 60d/30d --embargo 1d --null 99 --out RUN",
    "Try parameters out of sample, and against null runs",
  ],
  ["sep-params promote RUN INSTRUMENT --reason TEXT", "Put the winner of a run into force"],
];

export function Research(): JSX.Element {
  return (
    <>
      <Parameters />
      <Runs />
      <ParameterChanges />
      <Panel title="What to run" of={[]}>
        <Table
          caption="Commands of research"
          rows={COMMANDS}
          keyOf={([command]) => command}
          columns={[
            { title: "To do", cell: ([, what]) => what },
            { title: "Command", cell: ([command]) => <code>{command}</code> },
          ]}
        />
      </Panel>
    </>
  );
}
