import { epoch } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import { epochs, STORE } from "./keys.ts";

const MAX_CACHED = 4;

/**
 * Decodes a snapshot once and not for every record that asks for it. A hit is decided by the stored bytes alone, which
 * are always read, so neither results nor gas depend on what happens to be cached. What comes out is frozen.
 */
export function createEpochCache(): (ctx: Context, number: bigint) => epoch.Epoch | undefined {
  const cached = new Map<bigint, { readonly raw: Uint8Array; readonly value: epoch.Epoch }>();
  return (ctx, number) => {
    const raw = ctx.store(STORE).get(epochs.keyOf(number));
    if (raw === undefined) return undefined;
    const known = cached.get(number);
    if (known !== undefined && sameBytes(known.raw, raw)) return known.value;
    const value = freeze(epoch.Epoch.decode(raw));
    cached.delete(number);
    cached.set(number, { raw, value });
    if (cached.size > MAX_CACHED) cached.delete(cached.keys().next().value!);
    return value;
  };
}

function freeze(value: epoch.Epoch): epoch.Epoch {
  for (const member of value.members) {
    for (const offer of member.offers) Object.freeze(offer);
    Object.freeze(member.offers);
    Object.freeze(member);
  }
  Object.freeze(value.members);
  return Object.freeze(value);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
