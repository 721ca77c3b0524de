/** The verdict on an instrument, of one run or of two: every figure, and whether it is in force. */

import type { ComponentChildren, JSX } from "preact";
import type { ParametersInForce } from "../../gen/api.ts";
import { figure, grouped, percent } from "../model/decimals.ts";
import { daysOf, type Judged, type Run, setText } from "../model/run.ts";
import { Time } from "../parts/age.tsx";
import { Panel } from "../parts/panel.tsx";
import { Mark } from "../parts/states.tsx";
import { useRead } from "../store/readings.ts";
import type { ShownRun } from "./research_runs.tsx";

type Judgement = ShownRun & { readonly found: Judged | undefined };

const share = (value: number | null): string => (value === null ? "–" : percent(value, 3));
const number = (value: number | null, digits = 3): string => figure(value ?? undefined, digits);

/** Figures by name, as text: rows that differ between two runs are marked. */
const FIGURES: ReadonlyArray<readonly [name: string, text: (found: Judged, run: Run) => string]> = [
  ["Best set", ({ verdict }, run) => setText(run, verdict.params)],
  ["Trades out of sample", ({ verdict: v }) => grouped(String(v.trades))],
  ["Return out of sample", ({ verdict: v }) => share(v.out_return)],
  ["Its 90 % interval", ({ verdict: v }) => `${share(v.low_return)} to ${share(v.high_return)}`],
  ["Return in the later half", ({ verdict: v }) => share(v.recent_return)],
  ["Return with doubled costs", ({ verdict: v }) => share(v.doubled_costs)],
  ["t-statistic", ({ verdict: v }) => number(v.t)],
  ["Median t-statistic of its neighbours", ({ verdict: v }) => number(v.neighbours_t)],
  ["95 % of null runs are below", ({ verdict: v }) => number(v.null_quantile)],
  ["p against null runs", ({ verdict: v }) => number(v.p_value)],
  ["p of the reality check", ({ verdict: v }) => number(v.reality_p)],
  ["Probability that its Sharpe ratio is no luck", ({ verdict: v }) => number(v.deflated)],
  ["Probability of overfitting", ({ verdict: v }) => number(v.overfit)],
  ["Test days", ({ verdict: v }) => `${v.test_days}; ${v.track_days === null ? "no number suffices" : `${Math.ceil(v.track_days)} needed`}`],
  ["Test windows that pass the gates", ({ verdict: v }) => `${v.gate_passes} of ${v.windows}`],
  ["Searched", (_, run) => `${grouped(String(run.sets))} sets${run.adaptive ? ", chosen by adaptive search" : ""}`],
  ["Values", (_, { space }) => Object.entries(space).map(([n, values]) => `${n} ${values.join(" ")}`).join(", ")],
  ["Tested", (_, run) => `${daysOf(run)}, ${run.null_best.length} null runs`],
  ["Candles", ({ bars, candles_sha256 }, run) => `${grouped(String(bars))} of ${run.granularity}, ${candles_sha256.slice(0, 12)}`],
  ["Digest of the parameters", ({ params_digest }) => params_digest],
];

export function Verdicts({ instrument, of }: { instrument: string; of: readonly Judgement[] }): JSX.Element {
  const parameters = useRead("/api/parameters");
  const now = parameters.data?.parameters.find((p) => p.instrument === instrument);
  const row = (name: string, cell: (found: Judged, run: Run) => ComponentChildren, differs = false): JSX.Element => (
    <tr key={name}>
      <th scope="row">
        {name}
        {differs && (
          <strong role="img" aria-label="differs">
            {" "}
            ≠
          </strong>
        )}
      </th>
      {of.map(({ name: run, found, run: all }) => (
        <td key={run}>{found ? cell(found, all) : "not judged"}</td>
      ))}
    </tr>
  );
  return (
    <Panel title={`${instrument}: verdict`} of={[]} wide>
      <div class="scroll" role="region" aria-label="Verdict and figures" tabIndex={0}>
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Run</th>
              {of.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {row("Verdict", (found, run) => <Verdict of={found} run={run} />)}
            {row("In force", (found) => <Force of={found} now={now} known={!!parameters.data} />)}
            {FIGURES.map(([name, text]) => {
              const texts = new Set(of.flatMap(({ found, run }) => (found ? [text(found, run)] : [])));
              return row(name, text, texts.size > 1);
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Verdict({ of: { verdict }, run }: { of: Judged; run: Run }): JSX.Element {
  if (verdict.promote) {
    return (
      <>
        <Mark tone="good" /> <strong>promote</strong>: nothing speaks against the best set
      </>
    );
  }
  return (
    <>
      <Mark tone="bad" /> <strong>refuse</strong>
      <ul>
        {verdict.reasons.map((reason) => (
          <li key={reason}>
            {reason}: {run.reasons[reason]}
          </li>
        ))}
      </ul>
    </>
  );
}

function Force({ of, now, known }: { of: Judged; now: ParametersInForce | undefined; known: boolean }): JSX.Element {
  if (!known) return <>unknown</>;
  if (!now) return <>no: the stack does not trade it</>;
  if (now.digest !== of.params_digest) return <>no; in force: {now.change?.run || "defaults, or set by hand"}</>;
  return (
    <>
      <Mark tone="good" /> <strong>yes</strong>
      {now.change && (
        <>
          , since <Time ms={now.change.ts_ms} />
        </>
      )}
    </>
  );
}
