/** What nothing but tests can afford to look at: that decoded values may be shared and kept. */
import { KaratError } from "@karat/common";
import { equalBytes } from "./bytes.ts";
import type { Write } from "./overlay.ts";

/**
 * Throws `value_differs` for a value that is not what its own encoding says: another node, which decodes it, would go on from
 * something else; also where it was changed after it had been written. From then on, changing one throws a TypeError.
 */
export function requireFaithful(store: string, writes: readonly Write[]): void {
  for (const [key, value] of writes) {
    if (value === null) continue;
    const { here, elsewhere } = value.decodedAnew();
    if (!same(here, elsewhere)) {
      throw new KaratError("value_differs", "a value is not what its encoding says", { store, key, here, elsewhere });
    }
    freeze(here);
  }
}

/** A field that is undefined and one that is left out are the same. */
function same(a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return a === b;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b);
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const fields = new Map(Object.entries(b));
  return [...new Set([...Object.keys(a), ...fields.keys()])].every((field) =>
    same(Object.getOwnPropertyDescriptor(a, field)?.value, fields.get(field)),
  );
}

function freeze(value: unknown): void {
  if (!isObject(value) || value instanceof Uint8Array || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
