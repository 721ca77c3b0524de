/** What is promoted. Research itself happens on the command line: no service serves its runs. */

import type { JSX } from "preact";
import { Panel } from "../parts/panel.tsx";
import { Facts } from "../parts/facts.tsx";
import { ParameterChanges, Parameters } from "./research_parameters.tsx";

const COMMANDS: ReadonlyArray<readonly [command: string, what: string]> = [
  ["make research", "installs the research commands"],
  ["sep-data pull · sep-data import csv FILES --out CATALOGUE", "candles from the gateway or from files"],
  ["sep-data check CATALOGUE", "what is wrong with them"],
  [
    "sep-research sweep CATALOGUE --grid YAML --walk-forward 60d/30d --embargo 1d --null 99 --out RUN",
    "tries parameters out of sample, and against null runs",
  ],
  ["RUN/report.html", "folds, heatmaps and the verdict of a run; open it in a browser"],
  ["sep-params promote RUN INSTRUMENT --reason TEXT", "puts the winner of a run into force"],
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
        <Facts of={COMMANDS.map(([command, what]) => [what, <code key={command}>{command}</code>] as const)} />
      </Panel>
    </>
  );
}
