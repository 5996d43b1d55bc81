import { withHomeState } from "./homeState.ts";
import { readOptions } from "./usage.ts";

/**
 * `export --home <dir>`: prints a genesis with the last committed state, for a chain that starts again from it at the
 * next height. Consensus parameters and validators are those of the home's genesis. Throws what `withHomeState` throws.
 */
export async function exportState(args: readonly string[]): Promise<void> {
  const { home } = readOptions(args, ["home"], ["home"]);
  await withHomeState(home, ({ app, store, genesis }) => {
    const exported = { ...genesis, initial_height: String(store.height() + 1n), app_state: app.exportGenesis() };
    process.stdout.write(`${JSON.stringify(exported, null, 2)}\n`);
  });
}
