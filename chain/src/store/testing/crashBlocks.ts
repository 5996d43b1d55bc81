import { utf8 } from "@karat/common";
import { compareBytes } from "../bytes.ts";
import type { Change, ChangeSet } from "../types.ts";

export const CRASH_STORES = { names: ["alpha", "beta"], journaled: ["alpha"] } as const;

/** The same writes for a tree and for a journal. */
export const blockOfHeight = (height: bigint): ChangeSet =>
  new Map(CRASH_STORES.names.map((name) => [name, changesOfHeight(height)]));

/** Writes that follow from the height alone, so that a state can be computed again: some 20 of 200 keys, a third deleted. */
export function changesOfHeight(height: bigint): Change[] {
  const changes = new Map<number, Change>();
  let random = Number(height % 2147483647n);
  for (let i = 0; i < 20; i++) {
    random = (random * 48271) % 2147483647;
    const key = random % 200;
    changes.set(key, [utf8(`key/${key}`), random % 3 === 0 ? undefined : utf8(`value ${height} ${i}`)]);
  }
  return [...changes.values()].sort(([a], [b]) => compareBytes(a, b));
}
