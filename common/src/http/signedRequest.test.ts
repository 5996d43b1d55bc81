import { describe, expect, test } from "vitest";
import { KaratError, newPrivateKey, publicKeyOf, sha256, signDigest, utf8, verifySignature } from "../index.ts";
import { CLOCK_WINDOW_MS, type PeerFields, ReplayGuard, signRequest, verifyRequest } from "./index.ts";

const key = newPrivateKey();
// A stand-in for the protobuf encoding that nodes use; unambiguous for these fields.
const digest = (fields: PeerFields): Uint8Array =>
  sha256(utf8(JSON.stringify({ ...fields, timeMs: String(fields.timeMs), bodyHash: [...fields.bodyHash] })));
const sign = (fields: PeerFields): Uint8Array => signDigest(digest(fields), key);
const verify = (fields: PeerFields, signature: Uint8Array): boolean =>
  fields.sender === "karat1sender" && verifySignature(digest(fields), signature, publicKeyOf(key));

const request = { sender: "karat1sender", audience: "karat1me", method: "POST", path: "/karat/v1/execute" };
const body = utf8("{}");
const at = 1_700_000_000_000;
const newGuard = () => new ReplayGuard({ windowMs: 2 * CLOCK_WINDOW_MS });

type Changes = Partial<Parameters<typeof verifyRequest>[0]>;
async function outcome(headers: Record<string, string>, changes: Changes = {}): Promise<unknown> {
  try {
    const { method, path, audience } = request;
    return await verifyRequest({
      headers,
      method,
      path,
      body,
      audience,
      verify,
      guard: newGuard(),
      nowMs: at,
      ...changes,
    });
  } catch (error) {
    if (error instanceof KaratError) return [error.code, error.data.reason];
    throw error;
  }
}

describe("signed requests", () => {
  const headers = signRequest({ ...request, body, sign, nowMs: at });

  test("name their sender", async () => {
    expect(await outcome(headers)).toBe("karat1sender");
  });

  test("cannot be made again", async () => {
    const guard = newGuard();
    expect(await outcome(headers, { guard })).toBe("karat1sender");
    expect(await outcome(headers, { guard })).toEqual(["peer_replayed", undefined]);
  });

  test.each<[string, Changes, string]>([
    ["for another audience", { audience: "karat1other" }, "audience"],
    ["with another body", { body: utf8("{ }") }, "signature"],
    ["with another path", { path: "/karat/v1/payloads/00" }, "signature"],
    ["with another method", { method: "GET" }, "signature"],
    ["from too long ago", { nowMs: at + CLOCK_WINDOW_MS + 1 }, "clock"],
    ["from too far ahead", { nowMs: at - CLOCK_WINDOW_MS - 1 }, "clock"],
  ])("%s are refused", async (_name, changes, reason) => {
    expect(await outcome(headers, changes)).toEqual(["peer_unauthorized", reason]);
  });

  test.each(Object.keys(headers))("without %s are refused", async (name) => {
    const { [name]: _gone, ...rest } = headers;
    expect(await outcome(rest)).toEqual(["peer_unauthorized", name === "x-karat-audience" ? "audience" : name]);
  });

  test("with a foreign signature leave no nonce behind", async () => {
    const guard = newGuard();
    const forged = { ...headers, "x-karat-signature": Buffer.alloc(64).toString("base64") };
    expect(await outcome(forged, { guard })).toEqual(["peer_unauthorized", "signature"]);
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
