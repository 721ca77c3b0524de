/** What is promoted. Research itself happens on the command line: no service serves its runs. */

import type { JSX } from "preact";
import { Panel } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { ParameterChanges, Parameters } from "./research_parameters.tsx";

const COMMANDS: ReadonlyArray<readonly [command: string, what: string]> = [
  ["make research", "Install the research commands"],
  ["sep-data pull · sep-data import csv FILES --out CATALOGUE", "Get candles from the gateway or from files"],
  ["sep-data check CATALOGUE", "Find what is wrong with them"],
  [
    "sep-research sweep CATALOGUE --grid YAML --walk-forward 60d/30d --embargo 1d --null 99 --out RUN",
    "Try parameters out of sample, and against null runs",
  ],
  ["RUN/report.html", "See folds, heatmaps and the verdict of a run, in a browser"],
  ["sep-params promote RUN INSTRUMENT --reason TEXT", "Put the winner of a run into force"],
];

export function Research(): JSX.Element {
  return (
    <>
      <Parameters />
      <ParameterChanges />
      <div class="absent">
        <h2>Runs: no service serves them</h2>
        <p>
          Runs, folds and verdicts are files of the research commands, on the machine where they ran. This console can't
          read files, so it shows none of them, and promotes nothing.
        </p>
      </div>
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
