/**
 * A modal dialog. The browser's own element holds the focus inside and closes on Escape. Focus starts
 * on the element with `data-start`: Cancel in whatever destroys.
 */

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { closeDialog } from "../store/dialog.ts";

interface Props {
  readonly title: string;
  readonly tone?: "bad" | "good";
  readonly children: ComponentChildren;
}

export function Modal({ title, tone, children }: Props): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  // Before the next key can arrive: an Enter right after the key that opened it is meant for it.
  useLayoutEffect(() => {
    const shown = element.current;
    const before = document.activeElement;
    shown?.showModal();
    shown?.querySelector<HTMLElement>("[data-start]")?.focus();
    return () => {
      shown?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} class={tone ?? ""} aria-labelledby="dialog-title" onCancel={closeDialog}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
