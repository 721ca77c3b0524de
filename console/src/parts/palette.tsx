/** The command palette: type, choose with the arrow keys, Enter. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Command, commandsFor, search } from "../model/commands.ts";
import { closeDialog, openDialog } from "../store/dialog.ts";
import { change } from "../store/preferences.ts";
import { useRead } from "../store/readings.ts";
import { Modal } from "./modal.tsx";

const MOST = 12;

export function Palette(): JSX.Element {
  const pairs = useRead("/api/pairs");
  const [text, setText] = useState("");
  const [chosen, choose] = useState(0);
  const found = search(commandsFor((pairs.data?.pairs ?? []).map((p) => p.instrument)), text).slice(0, MOST);
  const index = Math.min(chosen, found.length - 1);
  const run = (command: Command | undefined): void => {
    closeDialog();
    if (command?.link) location.hash = command.link;
    if (command?.preference) change(command.preference);
    if (command?.dialog) openDialog({ kind: command.dialog });
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      choose((index + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[index]);
    }
  };
  return (
    <Modal title="Go to, or do">
      <input
        data-start=""
        role="combobox"
        aria-label="Command"
        aria-expanded="true"
        aria-controls="commands"
        aria-activedescendant={found[index] ? `command-${index}` : ""}
        autocomplete="off"
        placeholder="A view, an instrument, an action"
        value={text}
        onInput={(e) => {
          setText(e.currentTarget.value);
          choose(0);
        }}
        onKeyDown={onKey}
      />
      <ul id="commands" role="listbox" aria-label="Commands">
        {found.map((command, i) => (
          <li
            key={command.title}
            id={`command-${i}`}
            role="option"
            aria-selected={i === index}
            onClick={() => run(command)}
          >
            {command.title}
          </li>
        ))}
      </ul>
      {!found.length && <p class="empty">Nothing matches.</p>}
    </Modal>
  );
}
