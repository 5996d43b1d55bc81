import { KaratError, toHex } from "@karat/common";
import { verifyState } from "../store/index.ts";
import { withHomeState } from "./homeState.ts";
import { announce, readOptions } from "./usage.ts";

/**
 * `check --home <dir>`: reads the whole committed state, hashes it anew and checks every invariant; a few microseconds per
 * entry. Throws `corrupt_store` where the disk does not hold what the app hash says, `invariant_broken`, and what
 * `withHomeState` throws.
 */
export async function checkState(args: readonly string[]): Promise<void> {
  const { home } = readOptions(args, ["home"], ["home"]);
  await withHomeState(home, ({ app, store }) => {
    verifyState(store);
    const broken = app.invariants();
    if (broken.length > 0) throw new KaratError("invariant_broken", "the state contradicts itself", { broken });
    announce("checked", { height: store.height().toString(), appHash: toHex(store.appHash()) });
  });
}
