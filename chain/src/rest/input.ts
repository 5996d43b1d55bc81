import { addressBytes, fromBase64, fromHex } from "@karat/common";
import type { Request } from "express";
import { invalidArgument } from "./status.ts";

/** The most entries that a page may ask for. */
export const MAX_LIMIT = 1_000n;
const MAX_U64 = 2n ** 64n - 1n;
const MAX_U32 = 2n ** 32n - 1n;

/** A request's parameters, checked. Everything throws `rest/invalid-argument`. */
export class Input {
  readonly #request: Request;
  readonly #query: URLSearchParams;

  constructor(request: Request) {
    this.#request = request;
    const at = request.url.indexOf("?");
    this.#query = new URLSearchParams(at < 0 ? "" : request.url.slice(at + 1));
  }

  /** Of the path; a part that takes several segments has its slashes back. */
  path(name: string): string {
    const value: string | string[] | undefined = this.#request.params[name];
    return Array.isArray(value) ? value.join("/") : (value ?? "");
  }

  /** Of the query; empty where it is not given. */
  query(name: string): string {
    return this.#query.get(name) ?? "";
  }

  queries(name: string): string[] {
    return this.#query.getAll(name);
  }

  /** An account's address of the path. */
  address(name: string): string {
    return checkAddress(this.path(name), name);
  }

  u64(name: string): bigint {
    return wholeNumber(this.path(name), name, MAX_U64);
  }

  /** Of the query; 0 where it is not given. */
  queryU64(name: string, most = MAX_U64): bigint {
    const text = this.query(name);
    return text === "" ? 0n : wholeNumber(text, name, most);
  }

  /** Each of a query that comes several times. */
  queriesU64(name: string): bigint[] {
    return this.queries(name).map((text) => wholeNumber(text, name, MAX_U64));
  }

  queryU32(name: string): number {
    return Number(this.queryU64(name, MAX_U32));
  }

  flag(name: string): boolean {
    const text = this.query(name);
    if (text === "" || text === "false") return false;
    if (text === "true") return true;
    throw invalidArgument(`${name} is true or false`, { name });
  }

  /** 32 bytes of the path: hex or base64, whichever alphabet. */
  hash(name: string): Uint8Array {
    return hashOf(this.path(name), name);
  }

  /** As `hash`, of the query; empty where it is not given. */
  queryHash(name: string): Uint8Array {
    const text = this.query(name);
    return text === "" ? new Uint8Array() : hashOf(text, name);
  }

  /** `x-cosmos-block-height`; 0 is the last block. */
  height(): bigint {
    const text = this.#request.header("x-cosmos-block-height") ?? "";
    return text === "" ? 0n : wholeNumber(text, "x-cosmos-block-height", 2n ** 63n - 1n);
  }

  /**
   * `pagination.key` and the like. A total that is asked for is left at what the application gives: counting costs
   * the reading of everything, and explorers ask for it out of habit.
   */
  pagination(): { key: Uint8Array; offset: bigint; limit: bigint; countTotal: boolean; reverse: boolean } {
    const key = this.query("pagination.key");
    return {
      // A plus sign of base64 that nobody escaped has become a space.
      key: key === "" ? new Uint8Array() : base64Of(key.replaceAll(" ", "+"), "pagination.key"),
      offset: this.queryU64("pagination.offset"),
      limit: this.limit(),
      countTotal: false,
      reverse: this.flag("pagination.reverse"),
    };
  }

  /** `pagination.limit`, 0 where it is not given, bounded. */
  limit(): bigint {
    const limit = this.queryU64("pagination.limit");
    return limit < MAX_LIMIT ? limit : MAX_LIMIT;
  }
}

export function checkAddress(address: string, name: string): string {
  if (addressBytes(address) === undefined) throw invalidArgument(`${name} is not an address: ${address}`, { name });
  return address;
}

function wholeNumber(text: string, name: string, most: bigint): bigint {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value === undefined || value > most) throw invalidArgument(`${name} is a whole number`, { name, value: text });
  return value;
}

function hashOf(text: string, name: string): Uint8Array {
  const bytes = /^[0-9a-fA-F]{64}$/.test(text) ? fromHex(text.toLowerCase()) : base64Of(text, name);
  if (bytes.length !== 32) throw invalidArgument(`${name} is 32 bytes in hex or base64`, { name });
  return bytes;
}

/** Bytes of base64 in either alphabet, padded or not. */
export function base64Of(text: string, name: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw invalidArgument(`${name} is not base64`, { name });
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
}
