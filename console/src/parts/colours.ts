/** Colours of the theme, for canvases, which can't use CSS variables. */

/** The value of a token such as `--accent`. */
export function colour(token: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}
