/** On every view: what the stack may do, whether it answers, and the kill switch. */

import type { JSX } from "preact";
import type { Failure } from "../api/failure.ts";
import { keyPlace } from "../api/key.ts";
import { useCell } from "../store/cell.ts";
import { now } from "../store/clock.ts";
import { openDialog } from "../store/dialog.ts";
import { following, type Following } from "../store/events.ts";
import { change, type Theme, theme, zone } from "../store/preferences.ts";
import { useRead } from "../store/readings.ts";
import type { Reading } from "../store/resource.ts";
import { type Tone, partsDown, problems } from "../model/verdict.ts";
import { duration } from "../model/times.ts";
import { Mark } from "./states.tsx";

export function SafetyBar(): JSX.Element {
  const status = useRead("/api/status");
  const time = useCell(now);
  const place = useCell(keyPlace);
  const where = useCell(zone);
  const look = useCell(theme);
  const stream = useCell(following);
  const modes = status.failure ? undefined : status.data?.modes;
  const engaged = modes?.kill_switch;
  const broken = status.data && !status.failure ? problems(status.data) : [];
  const away = status.data && !status.failure && !broken.length ? partsDown(status.data) : [];
  return (
    <div class="safety" role="region" aria-label="Safety">
      <span class={`environment ${status.data?.modes?.environment ?? ""}`}>
        {status.data?.modes?.environment?.toUpperCase() ?? "…"}
      </span>
      <Light tone={engaged === undefined ? "unknown" : engaged ? "caution" : "good"}>
        Kill switch {engaged === undefined ? "unknown" : engaged ? "engaged" : "released"}
      </Light>
      {modes?.read_only && <Light tone="caution">read only</Light>}
      <Light tone={partsTone(status, broken, away)}>
        {status.failure
          ? failureText(status.failure) + ageText(status.at, time)
          : (broken[0] ?? (away.length ? `not serving: ${away.join(", ")}` : status.data ? "all parts serve" : "reading"))}
      </Light>
      <Light tone={stream.state === "live" ? "good" : stream.state === "waiting" ? "caution" : "unknown"}>
        {streamText(stream)}
      </Light>
      <span class="buttons">
        <button
          type="button"
          title={`Times are in ${where}; change it (z)`}
          aria-label={`Times in ${where}, change`}
          onClick={() => change("zone")}
        >
          <span class="where-wide">{where}</span>
          <span class="where-narrow">{where === "New York" ? "NY" : where}</span>
        </button>
        <button
          class="where-wide"
          type="button"
          title={`Theme: ${look === "system" ? "as the system has it" : look}; change it (t)`}
          aria-label={`Theme ${themeText(look)}, change`}
          onClick={() => change("theme")}
        >
          {themeText(look)}
        </button>
        <button
          class="where-wide"
          type="button"
          title="Terms that the console uses; its keys (?)"
          aria-label="Help: terms and keys"
          onClick={() => openDialog({ kind: "terms" })}
        >
          ?
        </button>
        <button type="button" title="Enter, replace or forget the API key" onClick={() => openDialog({ kind: "key" })}>
          {place === "none" ? "No key" : "Key set"}
        </button>
        <button type="button" aria-label="Command palette" title="Command palette: views, instruments, actions (Ctrl+k)" onClick={() => openDialog({ kind: "palette" })}>
          ⌘
        </button>
        {engaged === true && (
          <button type="button" title="Release the kill switch" onClick={() => openDialog({ kind: "release" })}>
            <span class="where-wide">Engaged: release…</span>
            <span class="where-narrow">Release…</span>
          </button>
        )}
        <button
          class={engaged ? "" : "danger"}
          type="button"
          title="Engage the kill switch (k, then Enter)"
          onClick={() => openDialog({ kind: "engage" })}
        >
          {engaged ? "Engage…" : "Engage kill switch"}
        </button>
      </span>
    </div>
  );
}

function partsTone(status: Reading<unknown>, broken: readonly string[], away: readonly string[]): Tone {
  if (status.failure || broken.length) return "bad";
  if (!status.data) return "unknown";
  return away.length ? "caution" : "good";
}

function failureText(failure: Failure): string {
  if (failure.needsKey) return "a key is needed";
  return failure.status ? `status can't be read: ${failure.reason}` : "no answer";
}

function themeText(look: Theme): string {
  return look === "system" ? "auto" : look;
}

function streamText({ state, failure }: Following): string {
  if (state === "live") return "up to date";
  if (state !== "waiting") return "stream opening";
  return failure?.absent ? "no journal: polling" : "no events: polling";
}

/** How long nothing was read. */
function ageText(at: number | undefined, time: number): string {
  return at === undefined ? "" : ` for ${duration((time - at) / 1000)}`;
}

function Light({ tone, children }: { tone: Tone; children: preact.ComponentChildren }): JSX.Element {
  return (
    <span class={`light ${tone}`}>
      <Mark tone={tone} /> {children}
    </span>
  );
}
