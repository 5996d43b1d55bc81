import { KaratError } from "@karat/common";
import type { Upgrade, UpgradeKeeper } from "../modules/upgrade/index.ts";
import type { Context } from "./module.ts";

/** Rewrites the state of one version into that of the next. Pure: nothing but the stores and the height of `ctx`. */
export type Migration = (ctx: Context) => void;

/** The rules that this program executes. */
export interface Program {
  /** Version of the state it leaves. */
  readonly version: bigint;
  /** By the version that they lead to. A program carries out the plan of its own version, from any earlier one. */
  readonly migrations: ReadonlyMap<bigint, Migration>;
}

export interface Upgrades {
  readonly keeper: UpgradeKeeper;
  readonly program: Program;
}

/** The node stops, and goes on with another program only. */
export const NEEDS_OTHER_PROGRAM: ReadonlySet<string> = new Set([
  "upgrade_needed",
  "upgrade_too_early",
  "version_too_old",
  "migration_missing",
]);

/**
 * Before anything of a block: where the height of a plan has come, the state becomes that of its version. Returns the plan
 * that was carried out. Throws, and the node stops, where this program is not the one that may execute the block:
 * `upgrade_needed` (the plan asks for another version), `upgrade_too_early` (its plan has not come), `version_too_old`.
 */
export function upgradeState(ctx: Context, { keeper, program }: Upgrades): Upgrade | undefined {
  const found = keeper.version(ctx);
  const plan = keeper.planned(ctx);
  const facts = { height: ctx.height, stateVersion: found, programVersion: program.version };
  if (plan === undefined || ctx.height < plan.height) {
    if (found > program.version) {
      throw new KaratError(
        "version_too_old",
        `the state is of version ${found}: run that version of the program`,
        facts,
      );
    }
    if (found < program.version) {
      const until =
        plan === undefined ? "no plan asks for this one" : `version ${plan.version} comes at height ${plan.height}`;
      throw new KaratError("upgrade_too_early", `run version ${found} of the program: ${until}`, { ...facts, plan });
    }
    return undefined;
  }
  if (plan.version !== program.version) {
    throw new KaratError(
      "upgrade_needed",
      `height ${ctx.height} is executed by version ${plan.version} (plan ${plan.name}); this is ${program.version}: install it and start again`,
      { ...facts, plan },
    );
  }
  for (let next = found + 1n; next <= plan.version; next++) {
    const migrate = program.migrations.get(next);
    if (migrate === undefined) {
      throw new KaratError("migration_missing", `this program has no migration to version ${next}`, facts);
    }
    migrate(ctx);
  }
  keeper.complete(ctx, plan);
  return plan;
}
