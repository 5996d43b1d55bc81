import { fromBase64, sha256, toBase64 } from "@karat/common";
import { slashing } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import type { Context, Module } from "../../app/module.ts";
import { bytes } from "../../store/collections.ts";
import { fromGenesisJson, genesisAmount, genesisList, genesisObject, invalidGenesis } from "../support/genesis.ts";
import { defineMessage, requireAddress } from "../support/message.ts";
import { defineQuery, found, queriedAddress } from "../support/query.ts";
import { cosmosQueries } from "./cosmosQueries.ts";
import { SLASHING_ERRORS } from "./errors.ts";
import type { SlashingDeps } from "./expects.ts";
import { countVotes, forget, infoOf, isJailed, punish, takeChanged, write } from "./keeper.ts";
import { changed, infos, missed, STORE } from "./keys.ts";
import { newInfo } from "./transition.ts";

export { SLASHING_ERRORS } from "./errors.ts";
export type { SlashingDeps } from "./expects.ts";

const MSG_UNJAIL = "/karat.slashing.v1.MsgUnjail";

export interface SlashingKeeper {
  isJailed(ctx: Context, consensusKey: Uint8Array): boolean;
  takeChanged(ctx: Context): boolean;
}

export type SlashingModule = Module & SlashingKeeper;

/** Begins blocks after the epochs have; what it takes away is gone at the end of the block. */
export function createSlashingModule(deps: SlashingDeps): SlashingModule {
  return {
    isJailed,
    takeChanged,
    name: STORE,
    messages: { [MSG_UNJAIL]: unjail(deps) },
    queries: {
      "/karat.slashing.v1.Query/SigningInfo": defineQuery(
        slashing.QuerySigningInfoRequest,
        slashing.QuerySigningInfoResponse,
        (ctx, { operator }) => {
          const key = deps.participants.byOperator(ctx, queriedAddress(operator))?.consensusKey;
          const info = key && infoOf(ctx, addressOf(key));
          return { info: found(info, `signing info of ${operator}`) };
        },
      ),
      ...cosmosQueries(deps),
    },
    initGenesis: initSlashing,
    exportGenesis: exportSlashing,
    beginBlock(ctx, facts) {
      punish(deps, ctx, facts);
      countVotes(deps, ctx, facts);
    },
    invariants,
  };
}

const addressOf = (key: Uint8Array): Uint8Array => sha256(key).slice(0, 20);

/** Back from jail: blocks are counted anew, and consensus power comes with the next epoch. */
const unjail = (deps: SlashingDeps) =>
  defineMessage<slashing.MsgUnjail>({
    codec: slashing.MsgUnjail,
    response: {
      typeUrl: `${MSG_UNJAIL}Response`,
      encode: (message) => slashing.MsgUnjailResponse.encode(message),
    },
    signers: ({ operator }) => [operator],
    checkStateless: ({ operator }) => requireAddress(operator, "operator"),

    execute(ctx, { operator }) {
      const key = deps.participants.byOperator(ctx, operator)?.consensusKey;
      if (key === undefined || key.length === 0) {
        throw new ChainError(SLASHING_ERRORS.noValidator, `${operator} has no consensus key`);
      }
      const info = infoOf(ctx, addressOf(key));
      if (!info?.jailed) throw new ChainError(SLASHING_ERRORS.notJailed, `${operator} is not jailed`);
      if (info.tombstoned || ctx.height < info.jailedUntil) {
        const until = info.tombstoned ? "for good" : `until height ${info.jailedUntil}`;
        throw new ChainError(SLASHING_ERRORS.stillJailed, `${operator} is jailed ${until}`);
      }
      const { signedBlocksWindow } = deps.params.get(ctx);
      forget(ctx, addressOf(key), { ...newInfo(operator, ctx.height, signedBlocksWindow), missed: info.missed });
      ctx.emit("unjailed", { participant: operator });
      return {};
    },
  });

/** `{infos: [{address, info, missed: [positions]}], changed?}` of an exported chain; nothing for a new one. */
function initSlashing(ctx: Context, state: unknown): void {
  const given = genesisObject(state, STORE, ["infos"]);
  genesisList(given.infos, "slashing.infos").forEach((json, i) => {
    const where = `slashing.infos[${i}]`;
    const row = genesisObject(json, where, ["address", "info", "missed"]);
    const address = typeof row.address === "string" ? fromBase64(row.address) : new Uint8Array();
    if (address.length !== 20) throw invalidGenesis(`${where}.address must be 20 bytes in base64`);
    write(ctx, address, fromGenesisJson(slashing.SigningInfo, row.info, where));
    for (const position of genesisList(row.missed, where)) {
      missed.set(ctx.store(STORE), [address, genesisAmount(position, where)], true);
    }
  });
}

function exportSlashing(ctx: Context): unknown {
  const store = ctx.store(STORE);
  return {
    infos: Array.from(infos.entries(store), ([address, info]) => ({
      address: toBase64(address),
      info: slashing.SigningInfo.toJSON(info),
      missed: Array.from(missed.entries(store, { prefix: bytes.toKey(address) }), ([[, position]]) =>
        position.toString(),
      ),
    })),
  };
}

/** A validator has missed as many blocks as are noted; nobody is tombstoned and free. */
function invariants(ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  let noted = 0n;
  for (const [address, info] of infos.entries(store)) {
    const count = BigInt(Array.from(missed.entries(store, { prefix: bytes.toKey(address) })).length);
    noted += count;
    if (count !== info.missed) broken.push(`${info.operator} has missed ${info.missed}, noted are ${count}`);
    if (info.tombstoned && !info.jailed) broken.push(`${info.operator} is tombstoned and free`);
  }
  if (BigInt(Array.from(missed.entries(store)).length) !== noted) broken.push("misses of nobody");
  if (changed.get(store) !== undefined) broken.push("the consensus set was not computed anew");
  return broken;
}
