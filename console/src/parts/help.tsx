/** What the keyboard does. */

import type { JSX } from "preact";
import { Footer } from "../actions/parts.tsx";
import { VIEWS } from "../model/route.ts";
import { openDialog } from "../store/dialog.ts";
import { Modal } from "./modal.tsx";

const KEYS: ReadonlyArray<readonly [string, string]> = [
  ["k, then Enter", "engage the kill switch, from any view"],
  ["Alt+k", "the same while the focus is in a field"],
  ["Ctrl+k or /", "command palette: views, instruments, actions"],
  ["?", "this list"],
  ["z", "times in UTC, New York or local"],
  ["t", "theme: as the system, dark, light"],
  ["Escape", "close a dialog; nothing is sent"],
];

export function HelpDialog(): JSX.Element {
  return (
    <Modal title="Keyboard">
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
        {VIEWS.map(({ key, title }) => (
          <div key={key}>
            <dt>
              <kbd>g {key}</kbd>
            </dt>
            <dd>{title}</dd>
          </div>
        ))}
      </dl>
      <Footer cancel="Close">
        <button type="button" onClick={() => openDialog({ kind: "terms" })}>
          Terms…
        </button>
      </Footer>
    </Modal>
  );
}
