/** Runs that the user opened: what each found, and two of them side by side. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Run } from "../model/run.ts";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { closeRun, openChosen, openDropped, type OpenedRun, runs, runsNote } from "../store/runs.ts";
import { Days, Folds, HeatmapTable, Nulls } from "./research_run.tsx";
import { Verdicts } from "./research_verdicts.tsx";

export interface ShownRun {
  readonly name: string;
  readonly run: Run;
}

export function Runs(): JSX.Element {
  const opened = useCell(runs);
  const [chosen, choose] = useState("");
  const [beside, setBeside] = useState("");
  const good = opened.filter((o): o is OpenedRun & ShownRun => !!o.run);
  const main = good.find((o) => o.name === chosen) ?? good[0];
  const other = good.find((o) => o.name === beside && o !== main);
  return (
    <>
      <Panel title="Runs" of={[]} wide>
        <Opener />
        {opened.length ? (
          <Table
            caption="Opened runs"
            rows={opened}
            keyOf={(o) => o.name}
            columns={[
              { title: "Run", cell: (o) => o.name },
              { title: "Tested", cell: (o) => o.run && <Days of={o.run} /> },
              { title: "What it found", cell: (o) => (o.run ? <Found of={o.run} /> : <Fault of={o.fault} />) },
              {
                title: "",
                cell: (o) => (
                  <span class="choice">
                    {o.run && (
                      <>
                        <button type="button" aria-label={`Show ${o.name}`} aria-pressed={o === main} onClick={() => choose(o.name)}>
                          Show
                        </button>
                        <button
                          type="button"
                          aria-label={`Compare with ${o.name}`}
                          disabled={o === main}
                          aria-pressed={o === other}
                          onClick={() => setBeside(o === other ? "" : o.name)}
                        >
                          Compare
                        </button>
                      </>
                    )}
                    <button type="button" aria-label={`Close ${o.name}`} onClick={() => closeRun(o.name)}>
                      Close
                    </button>
                  </span>
                ),
              },
            ]}
          />
        ) : (
          <Empty>No run is open.</Empty>
        )}
      </Panel>
      {main && <Shown of={other ? [main, other] : [main]} />}
    </>
  );
}

function Opener(): JSX.Element {
  const note = useCell(runsNote);
  const take = (event: { readonly currentTarget: HTMLInputElement }): void => {
    const input = event.currentTarget;
    void openChosen(input.files).then(() => (input.value = ""));
  };
  return (
    <div
      class="drop"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        if (event.dataTransfer) void openDropped(event.dataTransfer.items);
      }}
    >
      <div class="tools">
        <label>
          Folder of a run, or of several <input type="file" {...{ webkitdirectory: true }} onChange={take} />
        </label>
        <label>
          Or summary.json <input type="file" accept=".json" multiple onChange={take} />
        </label>
      </div>
      <p class="dim">
        Or drop folders here: those that <code>sep-research sweep --out</code> wrote. They are read in this tab and sent
        nowhere, though a browser may ask whether to “upload” them.
      </p>
      <p role="status">{note}</p>
    </div>
  );
}

function Found({ of: { sets, instruments } }: { of: Run }): JSX.Element {
  const promoted = instruments.filter((i) => i.verdict.promote).map((i) => i.instrument);
  return (
    <>
      <Mark tone={promoted.length ? "good" : "unknown"} />{" "}
      {promoted.length ? `${promoted.join(", ")} may be promoted` : "nothing to promote"}, of {sets} sets on{" "}
      {instruments.length} {instruments.length === 1 ? "instrument" : "instruments"}
    </>
  );
}

function Fault({ of }: { of: string | undefined }): JSX.Element {
  return (
    <>
      <Mark tone="bad" /> can't be shown: {of}
    </>
  );
}

/** One instrument of one run or of two. */
function Shown({ of }: { of: readonly ShownRun[] }): JSX.Element {
  const [wanted, want] = useState("");
  const names = [...new Set(of.flatMap((s) => s.run.instruments.map((i) => i.instrument)))];
  const instrument = names.includes(wanted) ? wanted : (names[0] ?? "");
  const judged = of.map((shown) => ({ ...shown, found: shown.run.instruments.find((i) => i.instrument === instrument) }));
  return (
    <>
      <div class="tools">
        <label class="filter">
          Instrument of the run{" "}
          <select value={instrument} onChange={(e) => want(e.currentTarget.value)}>
            {names.map((n) => (
              <option key={n}>{n}</option>
            ))}
          </select>
        </label>
      </div>
      <Verdicts instrument={instrument} of={judged} />
      <div class={of.length > 1 ? "pair" : "run"}>
        {judged.map(({ name, run, found }) =>
          found ? (
            <div key={name} class="grid">
              <Folds name={name} run={run} of={found} />
              <HeatmapTable key={instrument} name={name} run={run} of={found} />
              <Nulls name={name} run={run} of={found} />
            </div>
          ) : (
            <Empty key={name}>
              {name} did not judge {instrument}.
            </Empty>
          ),
        )}
      </div>
    </>
  );
}
