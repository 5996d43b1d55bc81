/** Checks of finished inferences: public draws, duties, verdicts, committees. The spec is README.md. */
import type { verification } from "@karat/proto";
import type { Context, Module } from "../../app/module.ts";
import { genesisObject } from "../support/genesis.ts";
import { endBlock } from "./endBlock.ts";
import type { VerificationDeps } from "./expects.ts";
import { invariants } from "./invariants.ts";
import { read } from "./keeper.ts";
import { STORE } from "./keys.ts";
import { commitChecks } from "./msgs/commitChecks.ts";
import { submitVerdicts } from "./msgs/submitVerdicts.ts";
import { queries } from "./queries.ts";

export { ERRORS as VERIFICATION_ERRORS } from "./errors.ts";
export type { VerificationDeps } from "./expects.ts";
export { EDGES as CHECK_EDGES } from "./transition.ts";

/** What other modules see of this one. */
export interface VerificationKeeper {
  /** Undefined for inferences that the draw passed over. */
  check(ctx: Context, inferenceId: Uint8Array): verification.Check | undefined;
}

export function createVerificationModule(deps: VerificationDeps): Module & VerificationKeeper {
  return {
    name: STORE,
    messages: {
      "/karat.verification.v1.MsgCommitChecks": commitChecks(deps),
      "/karat.verification.v1.MsgSubmitVerdicts": submitVerdicts(deps),
    },
    queries: queries(deps),
    initGenesis: (_ctx, state) => void genesisObject(state ?? {}, STORE, []),
    exportGenesis: () => ({}),
    endBlock(ctx) {
      endBlock(deps, ctx);
      return undefined;
    },
    invariants: (ctx) => invariants(deps, ctx),
    check: read,
  };
}
