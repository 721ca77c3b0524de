/** Parts, leases, ages, the stream, locks, versions. */

import type { JSX } from "preact";
import type { Freshness, GetStatusResponse, PartHealth } from "../../gen/api.ts";
import { grouped } from "../model/decimals.ts";
import { factName } from "../model/notices.ts";
import { duration } from "../model/times.ts";
import { Actor } from "../parts/actor.tsx";
import { Time } from "../parts/age.tsx";
import { Facts } from "../parts/facts.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { clockOffset, now } from "../store/clock.ts";
import { openDialog } from "../store/dialog.ts";
import { following, type Following } from "../store/events.ts";
import { useRead } from "../store/readings.ts";
import { useLastLive } from "../store/stream.ts";
import { Audit } from "./system_audit.tsx";
import { Loops } from "./system_loops.tsx";
import { Settings } from "./system_settings.tsx";

const STATES: Readonly<Record<PartHealth["state"], readonly [tone: "good" | "caution" | "bad" | "unknown", text: string]>> = {
  PART_STATE_SERVING: ["good", "serving"],
  PART_STATE_NOT_SERVING: ["caution", "answers, does not work"],
  PART_STATE_UNREACHABLE: ["bad", "does not answer"],
  PART_STATE_UNSPECIFIED: ["unknown", "unknown"],
};

const STREAM_STATES = { off: "closed", connecting: "opening", live: "open", waiting: "broken, tried again soon" } as const;

export function System(): JSX.Element {
  const status = useRead("/api/status");
  const killSwitch = useRead("/api/kill-switch");
  const locks = useRead("/api/risk/locks");
  const account = useRead("/api/oanda/account");
  return (
    <>
      <div class="columns">
        <Panel title="Parts" of={[status]}>
          {status.data && <Parts of={status.data.parts} />}
        </Panel>
        <Panel title="Modes and broker" of={[status]}>
          {status.data && <Modes of={status.data} account={account.data?.id} />}
        </Panel>
        <Panel title="Kill switch" of={[killSwitch]}>
          {killSwitch.data && (
            <Facts
              of={[
                ["State", killSwitch.data.kill_switch ? "engaged" : "released"],
                ["By", <Actor key="a" name={killSwitch.data.actor} />],
                ["Because", killSwitch.data.reason || "no reason given"],
                ["When", <Time key="t" ms={killSwitch.data.ts_ms} />],
              ]}
            />
          )}
        </Panel>
        <Panel title="Ages" of={[status]}>
          {status.data && <Ages of={status.data.freshness} />}
        </Panel>
        <Panel title="Leases" of={[status]}>
          {status.data && <Leases of={status.data} />}
        </Panel>
        <Streams />
        <Panel title="Locks" of={[locks]}>
          {locks.data?.locks.length ? (
            <ul class="notices">
              {locks.data.locks.map((l) => (
                <li key={l.instrument + l.cause}>
                  <Mark tone="caution" /> {l.instrument}, {l.cause.replaceAll("_", " ")} by {l.actor}: {l.reason}{" "}
                  <button type="button" onClick={() => openDialog({ kind: "unlock", instrument: l.instrument })}>
                    Unlock {l.instrument}…
                  </button>
                </li>
              ))}
            </ul>
          ) : (
            <Empty>No instrument is locked.</Empty>
          )}
        </Panel>
        <Panel title="About" of={[status]}>
          <p>SEP {status.data?.version}.</p>
          <p>
            <a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI document</a> · <a href="/metrics">Metrics</a>{" "}
            · <a href="/licences.txt">Licences</a>
          </p>
          <p class="dim">Charts: TradingView Lightweight Charts™, © TradingView, Inc., Apache-2.0; uPlot, MIT.</p>
        </Panel>
      </div>
      <Loops />
      <Audit />
      <Settings />
    </>
  );
}

function Parts({ of }: { of: readonly PartHealth[] }): JSX.Element {
  return (
    <Table
      caption="Parts"
      rows={of}
      keyOf={(p) => p.name}
      columns={[
        { title: "Part", cell: (p) => p.name },
        {
          title: "State",
          cell: (p) => (
            <>
              <Mark tone={STATES[p.state][0]} /> {STATES[p.state][1]}
            </>
          ),
        },
      ]}
    />
  );
}

interface ModesProps {
  readonly of: GetStatusResponse;
  readonly account: string | undefined;
}

function Modes({ of: { modes, broker, ts_ms, key_file_faults }, account }: ModesProps): JSX.Element {
  return (
    <>
      <Facts
        of={[
          ["Environment", modes?.environment || "unknown"],
          ["Account", account ?? "unknown"],
          ["Orders on a live account", modes?.live_trading_enabled ? "allowed" : "not allowed (LIVE_TRADING_ENABLED)"],
          ["Read only", modes?.read_only ? "yes: no order leaves" : "no"],
          ["Broker", broker?.connected ? "connected" : `down: ${broker?.error || "no answer"}`],
          ["Last answer of the broker", <Time key="b" ms={broker?.last_contact_ms} />],
          ["The broker's clock is ahead by", broker?.clock_skew_seconds === undefined ? "unknown" : `${grouped(broker.clock_skew_seconds.toFixed(2))} s`],
          ["The stack's time", <Time key="s" ms={ts_ms} />],
          ["This browser's clock", clockText(clockOffset())],
        ]}
      />
      {broker?.left_out.map((text) => (
        <p key={text}>
          <Mark tone="caution" /> left out: {text}
        </p>
      ))}
      {key_file_faults.map((f) => (
        <p key={f.file}>
          <Mark tone="caution" /> key file {f.file}: {f.reason}
        </p>
      ))}
    </>
  );
}

/** How far the browser's clock is behind the stack's, in ms; within two seconds is the answer's way here. */
function clockText(offsetMs: number): string {
  if (Math.abs(offsetMs) < 2000) return "agrees";
  return `${duration(Math.abs(offsetMs) / 1000)} ${offsetMs > 0 ? "behind" : "ahead"}`;
}

function Ages({ of }: { of: readonly Freshness[] }): JSX.Element {
  if (!of.length) return <Empty>None can be read.</Empty>;
  return (
    <Table
      caption="Ages"
      rows={of}
      keyOf={(f) => f.name}
      columns={[
        {
          title: "Fact",
          cell: (f) => (
            <>
              <Mark tone={f.verdict === "fresh" ? "good" : f.verdict === "stale" ? "caution" : "unknown"} />{" "}
              {factName(f.name)}
            </>
          ),
        },
        { title: "Age", num: true, cell: (f) => (f.age_seconds === undefined ? "–" : duration(f.age_seconds)) },
        { title: "Most", num: true, cell: (f) => duration(f.max_age_seconds) },
        { title: "Verdict", cell: (f) => f.verdict },
      ]}
    />
  );
}

function Leases({ of }: { of: GetStatusResponse }): JSX.Element {
  if (!of.leases.length) return <Empty>None can be read.</Empty>;
  return (
    <Table
      caption="Leases"
      rows={of.leases}
      keyOf={(l) => l.name}
      columns={[
        { title: "Service", cell: (l) => l.name },
        { title: "Writer", cell: (l) => l.holder || "none" },
        { title: "Token", num: true, cell: (l) => l.fencing_token },
      ]}
    />
  );
}

function Streams(): JSX.Element {
  const events = useCell(following);
  const manifolds = useLastLive();
  return (
    <Panel title="This tab's streams" of={[]}>
      <Facts
        of={[
          ["Events", <StreamFacts key="e" of={events} />],
          ["Events so far", events.count],
          ["Live metrics, while an instrument is shown", <StreamFacts key="m" of={manifolds} />],
          ["Instruments in them", manifolds.manifolds.size],
        ]}
      />
      <p class="dim">While events arrive, decisions, locks and the kill switch are read when one of them changed.</p>
    </Panel>
  );
}

function StreamFacts({ of: { state, at, failure } }: { of: Pick<Following, "state" | "at" | "failure"> }): JSX.Element {
  const time = useCell(now);
  if (failure) return <>{`${STREAM_STATES[state]}: ${failure.reason}, ${failure.message}`}</>;
  return <>{STREAM_STATES[state] + (state === "live" && at !== undefined ? `, ${duration((time - at) / 1000)} since the last` : "")}</>;
}
