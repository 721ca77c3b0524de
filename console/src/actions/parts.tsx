/** What the dialogs share: rows of buttons, failures that can't be overlooked, the need of a key. */

import type { ComponentChildren, JSX } from "preact";
import { useId, useState } from "preact/hooks";
import type { Failure } from "../api/failure.ts";
import { keyFault, keyPlace, useNewKey } from "../api/key.ts";
import { Mark } from "../parts/states.tsx";
import { closeDialog } from "../store/dialog.ts";

interface FooterProps {
  readonly children?: ComponentChildren;
  readonly cancel?: string;
  /** Whether the focus starts on Cancel. */
  readonly startHere?: boolean;
}

export function Footer({ children, cancel = "Cancel", startHere = true }: FooterProps): JSX.Element {
  return (
    <footer>
      <button type="button" onClick={closeDialog} {...(startHere ? { "data-start": "" } : {})}>
        {cancel}
      </button>
      {children}
    </footer>
  );
}

/** A failed write. `what` is what did not happen for sure, or may not have. */
export function Failed({ failure, what }: { failure: Failure | undefined; what: string }): JSX.Element | null {
  if (!failure) return null;
  return (
    <div class="loud bad" role="alert">
      <Mark tone="bad" /> <strong>{what}</strong>
      <p>
        <code>{failure.reason}</code> {failure.message}
      </p>
    </div>
  );
}

/** A write that its answer confirmed. */
export function Confirmed({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <div class="loud good" role="status">
      <Mark tone="good" /> {children}
    </div>
  );
}

/**
 * A field for the key, in a dialog that was opened without one. The focus starts on it: what is typed
 * is the key. It stays where it is once it is filled, so that nothing moves under a click, and a wrong
 * key can be corrected.
 */
export function NeedsKey(): JSX.Element | null {
  const [wanted] = useState(keyPlace.value === "none");
  const [fault, setFault] = useState("");
  if (!wanted) return null;
  const take = ({ currentTarget: { value } }: { currentTarget: HTMLInputElement }): void => {
    const found = value ? keyFault(value) : "";
    setFault(found);
    if (value && !found) useNewKey(value, false);
  };
  return (
    <Field label="This needs a write key; it stays in memory" fault={fault}>
      {(props) => (
        <input
          type="password"
          autocomplete="off"
          {...props}
          data-start=""
          onChange={take}
          onKeyDown={(event) => event.key === "Enter" && take(event)}
        />
      )}
    </Field>
  );
}

interface InputProps {
  readonly "aria-invalid": boolean;
  readonly "aria-label": string;
  readonly "aria-required"?: boolean;
  readonly "aria-describedby"?: string;
}

interface FieldProps {
  readonly label: string;
  readonly required?: boolean;
  /** What helps to fill it. */
  readonly hint?: string;
  readonly fault?: string;
  readonly children: (props: InputProps) => ComponentChildren;
}

export function Field({ label, required, hint, fault, children }: FieldProps): JSX.Element {
  const id = useId();
  const name = required ? `${label} (required)` : label;
  const described = hint ? { "aria-describedby": id } : {};
  return (
    <label class="field">
      <span>
        {name}
        {hint && <small id={id}> {hint}</small>}
      </span>
      {children({ "aria-invalid": Boolean(fault), "aria-label": name, ...(required ? { "aria-required": true } : {}), ...described })}
      {fault && (
        <span class="invalid" role="alert">
          <Mark tone="bad" /> {fault}
        </span>
      )}
    </label>
  );
}
