/** What a later journal adds: files of trades, and how far live differs from its replay. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useAction } from "../actions/action.ts";
import { Failed } from "../actions/parts.tsx";
import { download, queryText } from "../api/client.ts";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { useRoute } from "../store/routes.ts";

const EXPORT = "/api/journal/export";
const DIVERGENCE = "/api/journal/divergence";
const FORMATS = ["csv", "xlsx"] as const;

export function Exports({ from, instrument }: { from: string | undefined; instrument: string }): JSX.Element {
  const listed = useRoute(EXPORT);
  const [saved, setSaved] = useState("");
  const action = useAction<void>();
  const save = (format: string): Promise<void> =>
    action.run(async () => {
      const { name, content } = await download(EXPORT + queryText({ kind: "trades", format, from, instrument }));
      setSaved(saveAs(content, name || `trades.${format}`));
    });
  return (
    <Panel title="Export" of={[]}>
      {listed === false ? (
        <Empty>
          This version of the stack has no <code>{EXPORT}</code>, so no file can be made here. The table above and{" "}
          <code>GET /api/journal/trades</code> have the same figures.
        </Empty>
      ) : listed === undefined ? (
        <Empty>Whether the stack can export is not known yet.</Empty>
      ) : (
        <div class="tools">
          {FORMATS.map((format) => (
            <button key={format} type="button" aria-disabled={action.busy} onClick={() => void save(format)}>
              Trades as {format.toUpperCase()}
            </button>
          ))}
          {saved && <span role="status">{saved} was handed to the browser.</span>}
        </div>
      )}
      <Failed failure={action.failure} what="No file was made." />
    </Panel>
  );
}

/** Hand a file to the browser; returns its name. */
function saveAs(content: Blob, name: string): string {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}

export function Divergence(): JSX.Element {
  const listed = useRoute(DIVERGENCE);
  return (
    <Panel title="Divergence" of={[]}>
      <Empty>
        {listed ? (
          <>
            The stack serves how far live differed from its replay at <code>{DIVERGENCE}</code>; this console does not
            draw it yet.
          </>
        ) : (
          <>
            How far a day differed from its replay is not served by this stack. <code>sep-replay</code>{" "}
            plays stored candles on the command line.
          </>
        )}
      </Empty>
    </Panel>
  );
}
