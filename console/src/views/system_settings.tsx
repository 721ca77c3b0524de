/** Settings in force, as the running services read them. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Setting } from "../../gen/api.ts";
import { defaultText, settingsOf, valueText } from "../model/settings.ts";
import { Panel } from "../parts/panel.tsx";
import { Parted, Prose } from "../parts/prose.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

export function Settings(): JSX.Element {
  const { data, ...reading } = useRead("/api/settings");
  const [text, setText] = useState("");
  const [all, setAll] = useState(false);
  const settings = data?.settings ?? [];
  const shown = settingsOf(settings, { text, all });
  const changed = settings.filter((s) => s.changed).length;
  return (
    <Panel title="Settings in force" of={[{ data, ...reading }]} wide>
      <div class="tools">
        <label>
          Search{" "}
          <input placeholder="such as RISK_" maxLength={60} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <label class="check">
          <input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} /> Those with their default,
          too
        </label>
        <span class="dim" role="status">
          {shown.length} shown, {changed} of {settings.length} differ from their default
        </span>
      </div>
      {data?.missing.map((m) => (
        <p key={m.service}>
          <Mark tone="caution" /> {m.service} did not answer ({m.reason}): what it alone reads is not listed.
        </p>
      ))}
      {shown.length ? <Rows of={shown} /> : <Empty>{text ? "Nothing fits." : "Every setting has its default."}</Empty>}
      <p class="dim">Settings are read when a service starts; passwords and tokens are never sent.</p>
    </Panel>
  );
}

function Rows({ of }: { of: readonly Setting[] }): JSX.Element {
  return (
    <Table
      caption="Settings, by name"
      rows={of}
      keyOf={(s) => `${s.name} ${s.services.join()}`}
      columns={[
        { title: "Name", cell: (s) => <code title={s.description}>{s.name}</code> },
        { title: "Value", cell: (s) => <Value of={s} /> },
        { title: "Default", cell: (s) => <span class="dim">
              <Parted text={defaultText(s)} />
            </span> },
        { title: "Read by", cell: (s) => s.services.join(", ") },
        { title: "What it does", cell: (s) => <span class="dim">
              <Prose text={s.description} />
            </span> },
      ]}
    />
  );
}

function Value({ of }: { of: Setting }): JSX.Element {
  const text = <Parted text={valueText(of)} />;
  return of.changed ? <strong>{text}</strong> : text;
}
