import { describe, expect, test } from "vitest";
import { KaratError, sha256, utf8 } from "../index.ts";
import { CLOCK_WINDOW_MS, openRequest, type PeerFields, ReplayGuard, sealRequest } from "./index.ts";

// A stand-in for the keyed code over the protobuf encoding that nodes use; unambiguous for these fields.
const mac = (fields: PeerFields): Uint8Array | undefined =>
  fields.sender === "karat1sender"
    ? sha256(utf8(JSON.stringify({ ...fields, timeMs: String(fields.timeMs), bodyHash: [...fields.bodyHash] })))
    : undefined;

const request = { sender: "karat1sender", audience: "karat1me", method: "POST", path: "/karat/v1/execute" };
const body = utf8("{}");
const at = 1_700_000_000_000;
const newGuard = () => new ReplayGuard({ windowMs: 2 * CLOCK_WINDOW_MS });

type Changes = Partial<Parameters<typeof openRequest>[0]>;
function outcome(headers: Record<string, string>, changes: Changes = {}): unknown {
  try {
    const { method, path, audience } = request;
    return openRequest({
      headers,
      method,
      path,
      body,
      audience,
      mac,
      guard: newGuard(),
      nowMs: at,
      ...changes,
    });
  } catch (error) {
    if (error instanceof KaratError) return [error.code, error.data.reason];
    throw error;
  }
}

describe("sealed requests", () => {
  const headers = sealRequest({ ...request, body, mac, nowMs: at });

  test("name their sender", () => {
    expect(outcome(headers)).toBe("karat1sender");
  });

  test("cannot be made again", () => {
    const guard = newGuard();
    expect(outcome(headers, { guard })).toBe("karat1sender");
    expect(outcome(headers, { guard })).toEqual(["peer_replayed", undefined]);
  });

  test.each<[string, Changes, string]>([
    ["for another audience", { audience: "karat1other" }, "audience"],
    ["with another body", { body: utf8("{ }") }, "mac"],
    ["with another path", { path: "/karat/v1/payloads/00" }, "mac"],
    ["with another method", { method: "GET" }, "mac"],
    ["from too long ago", { nowMs: at + CLOCK_WINDOW_MS + 1 }, "clock"],
    ["from too far ahead", { nowMs: at - CLOCK_WINDOW_MS - 1 }, "clock"],
  ])("%s are refused", (_name, changes, reason) => {
    expect(outcome(headers, changes)).toEqual(["peer_unauthorized", reason]);
  });

  test.each(Object.keys(headers))("without %s are refused", (name) => {
    const { [name]: _gone, ...rest } = headers;
    expect(outcome(rest)).toEqual(["peer_unauthorized", name === "x-karat-audience" ? "audience" : name]);
  });

  test("by a sender, or for an audience, that is not known are refused", () => {
    expect(outcome({ ...headers, "x-karat-sender": "karat1other" })).toEqual(["peer_unauthorized", "mac"]);
    expect(() => sealRequest({ ...request, sender: "karat1other", body, mac })).toThrow(KaratError);
  });

  test("with a foreign code leave no nonce behind", () => {
    const guard = newGuard();
    const forged = { ...headers, "x-karat-mac": Buffer.alloc(32).toString("base64") };
    expect(outcome(forged, { guard })).toEqual(["peer_unauthorized", "mac"]);
    expect(guard.size).toBe(0);
  });
});

describe("replay guard", () => {
  const codeOf = (run: () => void): string | undefined => {
    try {
      run();
      return undefined;
    } catch (error) {
      return error instanceof KaratError ? error.code : "other";
    }
  };

  test("refuses rather than forgets when full, and has room again after the window", () => {
    const guard = new ReplayGuard({ windowMs: 100, maxNonces: 2 });
    guard.use("a", "1", 0);
    guard.use("b", "1", 0);
    expect(codeOf(() => guard.use("c", "1", 50))).toBe("peer_overloaded");
    expect(codeOf(() => guard.use("a", "1", 99))).toBe("peer_replayed");
    expect(codeOf(() => guard.use("c", "1", 100))).toBeUndefined();
    expect(guard.size).toBe(1);
  });

  test("one sender cannot take the room of the others", () => {
    const guard = new ReplayGuard({ windowMs: 100, maxNonces: 10, maxNoncesPerSender: 1 });
    guard.use("a", "1", 0);
    expect(codeOf(() => guard.use("a", "2", 0))).toBe("peer_overloaded");
    expect(codeOf(() => guard.use("b", "1", 0))).toBeUndefined();
  });
});
