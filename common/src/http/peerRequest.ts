import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { fromBase64, toBase64, toHex } from "../bytes.ts";
import { KaratError } from "../errors.ts";
import { sha256 } from "../secp256k1/index.ts";
import type { ReplayGuard } from "./replayGuard.ts";

/** A request is accepted when its time is within this distance of the receiver's clock. */
export const CLOCK_WINDOW_MS = 30_000;
const NONCE_BYTES = 16;

/** What is authenticated of a request between nodes, beside the domain and the chain id that `PeerMac` adds. */
export interface PeerFields {
  /** Operator addresses. */
  readonly sender: string;
  readonly audience: string;
  readonly method: string;
  /** With the query, as it stands in the request line. */
  readonly path: string;
  /** SHA-256 of the body, empty bodies included. */
  readonly bodyHash: Uint8Array;
  readonly timeMs: bigint;
  readonly nonce: Uint8Array;
}

/** The 32-byte code over the canonical encoding of the fields that only sender and audience can make; undefined where one of them is not known. */
export type PeerMac = (fields: PeerFields) => Uint8Array | undefined;

export interface SealRequestOptions extends Pick<PeerFields, "sender" | "audience" | "method" | "path"> {
  readonly body: Uint8Array;
  readonly mac: PeerMac;
  readonly nowMs?: number;
}

/** The headers that make a request one of `sender` to `audience`, and to nobody else, once. Throws KaratError `peer_unauthorized` where one is not known. */
export function sealRequest(options: SealRequestOptions): Record<string, string> {
  const { sender, audience, method, path, body, mac } = options;
  const timeMs = BigInt(options.nowMs ?? Date.now());
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  const code = mac({ sender, audience, method, path, bodyHash: sha256(body), timeMs, nonce });
  if (!code) throw unauthorized("audience");
  return {
    "x-karat-sender": sender,
    "x-karat-audience": audience,
    "x-karat-time": String(timeMs),
    "x-karat-nonce": toHex(nonce),
    "x-karat-mac": toBase64(code),
  };
}

export interface OpenRequestOptions {
  readonly headers: IncomingHttpHeaders;
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
  /** The receiver's own operator address. */
  readonly audience: string;
  readonly mac: PeerMac;
  readonly guard: ReplayGuard;
  readonly nowMs?: number;
}

/**
 * The operator address that sent a request. Throws KaratError `peer_unauthorized` (data.reason) on missing or malformed headers, another
 * audience, a clock too far away or a wrong code; `peer_replayed` and `peer_overloaded` as the guard does.
 */
export function openRequest(options: OpenRequestOptions): string {
  const { headers, method, path, body, audience, mac, guard } = options;
  const nowMs = options.nowMs ?? Date.now();
  const sender = header(headers, "x-karat-sender", /^[a-z0-9]{1,90}$/);
  const time = header(headers, "x-karat-time", /^\d{1,15}$/);
  const nonce = header(headers, "x-karat-nonce", /^[0-9a-f]{32}$/);
  const code = header(headers, "x-karat-mac", /^[A-Za-z0-9+/]{43}=$/);
  if (headers["x-karat-audience"] !== audience) throw unauthorized("audience");
  if (Math.abs(Number(time) - nowMs) > CLOCK_WINDOW_MS) throw unauthorized("clock");
  const fields: PeerFields = {
    sender,
    audience,
    method,
    path,
    bodyHash: sha256(body),
    timeMs: BigInt(time),
    nonce: Uint8Array.from(Buffer.from(nonce, "hex")),
  };
  const expected = mac(fields);
  if (!expected || !timingSafeEqual(expected, fromBase64(code))) throw unauthorized("mac");
  guard.use(sender, nonce, nowMs);
  return sender;
}

function header(headers: IncomingHttpHeaders, name: string, form: RegExp): string {
  const value = headers[name];
  if (typeof value !== "string" || !form.test(value)) throw unauthorized(name);
  return value;
}

const unauthorized = (reason: string): KaratError =>
  new KaratError("peer_unauthorized", `The request between nodes is not accepted: ${reason}.`, { reason });
