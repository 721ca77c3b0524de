/** Why a call failed, with the stable reason of the API or one of the console's own. */

export const UNREACHABLE = "UNREACHABLE";
export const TIMEOUT = "TIMEOUT";

export class Failure extends Error {
  /**
   * @param reason stable reason such as KILL_SWITCH or STORE_UNAVAILABLE.
   * @param status HTTP status; 0 when there was no answer.
   */
  constructor(
    readonly reason: string,
    message: string,
    readonly status: number,
  ) {
    super(message);
  }

  /** Whether another key could help. */
  get needsKey(): boolean {
    return this.status === 401 || this.reason === "READ_KEY_ONLY";
  }

  /** Whether the installation has no such part: its route does not exist, or nothing serves it. */
  get absent(): boolean {
    return this.reason === "UNKNOWN_ROUTE" || this.reason === "NOT_INSTALLED";
  }
}

/** The failure that an error response describes. */
export function failureOf(status: number, text: string): Failure {
  try {
    const body: unknown = JSON.parse(text);
    if (isRecord(body)) {
      const details = Array.isArray(body["details"]) ? body["details"] : [];
      const detail: unknown = details.find((d: unknown) => isRecord(d) && typeof d["reason"] === "string");
      const reason = isRecord(detail) ? String(detail["reason"]) : `HTTP_${status}`;
      return new Failure(reason, String(body["message"] ?? reason), status);
    }
  } catch {
    // Not JSON: a proxy between the browser and the stack.
  }
  return new Failure(`HTTP_${status}`, `the answer ${status} is not the API's`, status);
}

/** The failure behind anything that was thrown. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new Failure(TIMEOUT, "no answer in time; what was asked for may have been done", 0);
  }
  if (error instanceof TypeError || error instanceof DOMException) {
    return new Failure(UNREACHABLE, "the stack does not answer", 0);
  }
  return new Failure("CONSOLE", String(error), 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
