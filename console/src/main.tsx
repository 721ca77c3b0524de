/** Starts the console. */

import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/dialogs.css";
import "./styles/narrow.css";
import { render } from "preact";
import { restoreKey } from "./api/key.ts";
import { App } from "./app.tsx";
import { startKeyboard } from "./keyboard.ts";
import { startClock } from "./store/clock.ts";
import { startEvents } from "./store/events.ts";
import { startPreferences } from "./store/preferences.ts";
import { followRoute } from "./store/route.ts";
import { followVisibility } from "./store/visibility.ts";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no element #app");
restoreKey();
startPreferences();
followVisibility();
followRoute();
startClock();
startKeyboard();
startEvents();
render(<App />, root);
