import { isKaratError, KaratError, messageOf } from "@karat/common";

/** What this interface refuses with, each with its gRPC code and the HTTP status that grpc-gateway gives it. */
const STATUS = {
  "rest/invalid-argument": { grpc: 3, http: 400 },
  "rest/not-found": { grpc: 5, http: 404 },
  /** More requests at once than are served. */
  "rest/busy": { grpc: 8, http: 429 },
  "rest/too-large": { grpc: 8, http: 413 },
  /** The application refuses: a transaction that would fail, for instance. */
  "rest/refused": { grpc: 9, http: 400 },
  "rest/unimplemented": { grpc: 12, http: 501 },
  "rest/internal": { grpc: 13, http: 500 },
  "rest/unavailable": { grpc: 14, http: 503 },
} as const;

export type RestCode = keyof typeof STATUS;

export function restError(
  code: RestCode,
  message: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): KaratError {
  return new KaratError(code, message, data, cause);
}

export const invalidArgument = (message: string, data: Record<string, unknown> = {}): KaratError =>
  restError("rest/invalid-argument", message, data);

export const isInvalidArgument = (error: unknown): error is KaratError => isKaratError(error, "rest/invalid-argument");

const codeOf = (error: unknown): RestCode | undefined =>
  isKaratError(error) && error.code in STATUS ? (error.code as RestCode) : undefined;

/** The status and body that an error is answered with; what is not one of ours is `internal` and tells nothing. */
export function errorReply(error: unknown): { http: number; body: { code: number; message: string; details: [] } } {
  const code = codeOf(error) ?? "rest/internal";
  const message = codeOf(error) === undefined ? "internal error" : messageOf(error);
  return { http: STATUS[code].http, body: { code: STATUS[code].grpc, message, details: [] } };
}

/** Codes of the `sdk` codespace that say something about the request itself. */
const SDK_CODES: Readonly<Record<number, RestCode>> = {
  2: "rest/invalid-argument",
  6: "rest/unimplemented",
  7: "rest/invalid-argument",
  8: "rest/invalid-argument",
  9: "rest/not-found",
  10: "rest/invalid-argument",
  18: "rest/invalid-argument",
  22: "rest/not-found",
  35: "rest/internal",
  38: "rest/not-found",
};

/** A query's ABCI code as an error of this interface. */
export function abciError(answer: { codespace: string; code: number; log: string }): KaratError {
  const { codespace, code, log } = answer;
  const known =
    codespace === "sdk" ? SDK_CODES[code] : codespace === "epoch" && code === 2 ? "rest/not-found" : undefined;
  return restError(known ?? "rest/refused", log, { codespace, code });
}
