/** Enter, replace or forget the API key. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { keyFault, keyPlace, useNewKey } from "../api/key.ts";
import { Modal } from "../parts/modal.tsx";
import { useCell } from "../store/cell.ts";
import { closeDialog } from "../store/dialog.ts";
import { Field, Footer } from "./parts.tsx";

export function KeyDialog(): JSX.Element {
  const place = useCell(keyPlace);
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(place === "tab");
  const [fault, setFault] = useState("");
  const take = (event: Event): void => {
    event.preventDefault();
    const found = keyFault(text);
    setFault(found);
    if (found) return;
    useNewKey(text, keep);
    closeDialog();
  };
  return (
    <Modal title="API key">
      <p>
        {place === "none" && "No key is set: the console reads what everyone may read, and changes nothing."}
        {place === "memory" && "A key is set, in memory: a reload forgets it."}
        {place === "tab" && "A key is set, in this tab's session storage: closing the tab forgets it."}
      </p>
      <form onSubmit={take}>
        <Field label="Key (after make run: the file .run/keys/write)" fault={fault}>
          {(props) => (
            <input
              {...props}
              data-start=""
              type="password"
              autocomplete="off"
              value={text}
              onInput={(e) => setText(e.currentTarget.value)}
            />
          )}
        </Field>
        <label class="check">
          <input type="checkbox" checked={keep} onChange={(e) => setKeep(e.currentTarget.checked)} /> Survive a reload of
          this tab
        </label>
        <Footer startHere={false}>
          {place !== "none" && (
            <button
              type="button"
              onClick={() => {
                useNewKey("", false);
                closeDialog();
              }}
            >
              Forget it
            </button>
          )}
          <button type="submit">Use this key</button>
        </Footer>
      </form>
    </Modal>
  );
}
