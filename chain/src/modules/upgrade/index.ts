/** The plan of a software upgrade, and which version's rules the state follows (`README.md`). */

import {
  QueryAppliedPlanRequest,
  QueryAppliedPlanResponse,
  QueryCurrentPlanRequest,
  QueryCurrentPlanResponse,
  QueryModuleVersionsRequest,
  QueryModuleVersionsResponse,
} from "cosmjs-types/cosmos/upgrade/v1beta1/query";
import {
  MsgCancelUpgrade,
  MsgCancelUpgradeResponse,
  MsgSoftwareUpgrade,
  MsgSoftwareUpgradeResponse,
} from "cosmjs-types/cosmos/upgrade/v1beta1/tx";
import { Plan } from "cosmjs-types/cosmos/upgrade/v1beta1/upgrade";
import { ChainError, type ErrorKind } from "../../app/errors.ts";
import type { Context, Module } from "../../app/module.ts";
import { type Codec, cosmosCodec, Item, Table, text, u64 } from "../../store/collections.ts";
import { requireGovernance } from "../support/authority.ts";
import { genesisAmount, genesisList, genesisObject } from "../support/genesis.ts";
import { defineMessage } from "../support/message.ts";
import { defineQuery } from "../support/query.ts";

const STORE = "upgrade";
const version = new Item<bigint>(0x01, u64);
const plan = new Item<Plan>(0x02, cosmosCodec(Plan) as Codec<Plan>);
/** Name of a carried out plan → height. */
const applied = new Table<string, bigint>(0x03, text, u64);

const error = (code: number): ErrorKind => ({ codespace: "upgrade", code });

/** Append-only. */
export const UPGRADE_ERRORS = {
  /** The plan's name is not `v` and a version after the present one, or its height is past. */
  invalidPlan: error(3),
} as const;

export interface Upgrade {
  readonly name: string;
  /** The application version that the plan asks for. */
  readonly version: bigint;
  /** The first block that it executes. */
  readonly height: bigint;
}

export interface UpgradeKeeper {
  /** Version of the rules that the state was made by. */
  version(ctx: Context): bigint;
  planned(ctx: Context): Upgrade | undefined;
  /** The plan is carried out: the state is that of its version now. */
  complete(ctx: Context, upgrade: Upgrade): void;
}

/** 0001-01-01, which Go writes for no time. */
const GO_ZERO_TIME = -62_135_596_800n;
const MAX_INFO_BYTES = 4_096;
const NAME = /^v([1-9]\d{0,8})$/;

/** @param genesisVersion what a new chain begins with. */
export function createUpgradeModule(genesisVersion: bigint): Module & UpgradeKeeper {
  const keeper: UpgradeKeeper = {
    version: (ctx) => version.get(ctx.store(STORE)) ?? genesisVersion,

    planned(ctx) {
      const found = plan.get(ctx.store(STORE));
      return found && { name: found.name, version: BigInt(NAME.exec(found.name)![1]!), height: found.height };
    },

    complete(ctx, { name, version: reached }) {
      version.set(ctx.store(STORE), reached);
      applied.set(ctx.store(STORE), name, ctx.height);
      plan.delete(ctx.store(STORE));
      ctx.emit("upgrade_applied", { name, version: reached.toString() });
    },
  };
  return {
    ...keeper,
    name: STORE,
    messages: {
      "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade": defineMessage<MsgSoftwareUpgrade>({
        codec: MsgSoftwareUpgrade,
        response: {
          typeUrl: "/cosmos.upgrade.v1beta1.MsgSoftwareUpgradeResponse",
          encode: (message) => MsgSoftwareUpgradeResponse.encode(message),
        },
        signers: ({ authority }) => [authority],

        checkStateless({ authority, plan: wanted }) {
          requireGovernance(authority);
          const { name, info, upgradedClientState, time } = wanted ?? Plan.fromPartial({});
          const timed = (time.seconds !== 0n && time.seconds !== GO_ZERO_TIME) || time.nanos !== 0;
          if (!NAME.test(name)) refuse(`a plan is named v and the application version, not ${JSON.stringify(name)}`);
          if (timed || upgradedClientState !== undefined) refuse("plans go by height");
          if (new TextEncoder().encode(info).length > MAX_INFO_BYTES)
            refuse(`info has more than ${MAX_INFO_BYTES} bytes`);
        },

        /** Replaces a plan that has not come yet. */
        execute(ctx, { plan: wanted }) {
          const asked = BigInt(NAME.exec(wanted.name)![1]!);
          if (asked <= keeper.version(ctx)) refuse(`the chain is at version ${keeper.version(ctx)} already`);
          if (wanted.height <= ctx.height) refuse(`height ${wanted.height} is past`);
          plan.set(ctx.store(STORE), wanted);
          ctx.emit("upgrade_planned", { name: wanted.name, height: wanted.height.toString() });
          return {};
        },
      }),

      "/cosmos.upgrade.v1beta1.MsgCancelUpgrade": defineMessage<MsgCancelUpgrade>({
        codec: MsgCancelUpgrade,
        response: {
          typeUrl: "/cosmos.upgrade.v1beta1.MsgCancelUpgradeResponse",
          encode: (message) => MsgCancelUpgradeResponse.encode(message),
        },
        signers: ({ authority }) => [authority],
        checkStateless: ({ authority }) => requireGovernance(authority),

        execute(ctx) {
          if (keeper.planned(ctx) === undefined) refuse("no upgrade is planned");
          plan.delete(ctx.store(STORE));
          ctx.emit("upgrade_cancelled", {});
          return {};
        },
      }),
    },

    queries: {
      "/cosmos.upgrade.v1beta1.Query/CurrentPlan": defineQuery(
        QueryCurrentPlanRequest,
        QueryCurrentPlanResponse,
        (ctx) => {
          const found = plan.get(ctx.store(STORE));
          return found === undefined ? {} : { plan: found };
        },
      ),
      "/cosmos.upgrade.v1beta1.Query/AppliedPlan": defineQuery(
        QueryAppliedPlanRequest,
        QueryAppliedPlanResponse,
        (ctx, { name }) => ({
          height: name.includes("\0") ? 0n : (applied.get(ctx.store(STORE), name) ?? 0n),
        }),
      ),
      "/cosmos.upgrade.v1beta1.Query/ModuleVersions": defineQuery(
        QueryModuleVersionsRequest,
        QueryModuleVersionsResponse,
        (ctx) => ({
          moduleVersions: [{ name: "karat", version: keeper.version(ctx) }],
        }),
      ),
    },

    /** `{version?, plan?: {name, height, info}, applied?: [{name, height}]}`. */
    initGenesis(ctx, state) {
      const given = genesisObject(state, STORE, ["version", "plan", "applied"]);
      const store = ctx.store(STORE);
      version.set(
        store,
        given.version === undefined ? genesisVersion : genesisAmount(given.version, "upgrade.version"),
      );
      if (given.plan !== undefined) {
        const { name, height, info } = genesisObject(given.plan, "upgrade.plan", ["name", "height", "info"]);
        plan.set(
          store,
          Plan.fromPartial({ name: String(name), height: genesisAmount(height, "upgrade.plan"), info: String(info) }),
        );
      }
      genesisList(given.applied, "upgrade.applied").forEach((json, i) => {
        const { name, height } = genesisObject(json, `upgrade.applied[${i}]`, ["name", "height"]);
        applied.set(store, String(name), genesisAmount(height, "upgrade.applied"));
      });
    },

    exportGenesis(ctx) {
      const store = ctx.store(STORE);
      const found = plan.get(store);
      return {
        version: keeper.version(ctx).toString(),
        ...(found && { plan: { name: found.name, height: found.height.toString(), info: found.info } }),
        applied: Array.from(applied.entries(store), ([name, height]) => ({ name, height: height.toString() })),
      };
    },
  };
}

function refuse(why: string): never {
  throw new ChainError(UPGRADE_ERRORS.invalidPlan, why);
}
