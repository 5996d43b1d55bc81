import { addressOfKey } from "@karat/common";
import { participant } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import {
  asGenesis,
  fromGenesisJson,
  fundModuleAccount,
  genesisAmount,
  genesisList,
  genesisObject,
  invalidGenesis,
} from "../support/genesis.ts";
import { requireAddress } from "../support/message.ts";
import { checkConsensusKey, checkModels, checkNodeKey, checkOffers, checkUrl } from "./checks.ts";
import type { ParticipantDeps } from "./expects.ts";
import { MAX_PARTICIPANTS, type ParticipantKeeper, store } from "./keeper.ts";
import { formerConvictions, nextNumber, STORE } from "./keys.ts";

/**
 * `{participants: [proto JSON], former?: [{operator, convictions}], nextNumber?}`. Node addresses follow from the node keys; an
 * entry without a status is new: ACTIVE, with at least the least collateral. Collateral is minted.
 */
export function initParticipants(
  keeper: ParticipantKeeper,
  { bank, params }: ParticipantDeps,
  ctx: Context,
  state: unknown,
): void {
  const given = genesisObject(state, "participant", ["participants", "former", "nextNumber"]);
  const rows = genesisList(given.participants, "participant.participants");
  if (rows.length > MAX_PARTICIPANTS) throw invalidGenesis(`more than ${MAX_PARTICIPANTS} participants`);
  let collateral = 0n;
  rows.forEach((json, i) => {
    const where = `participant.participants[${i}]`;
    const entry = complete(fromGenesisJson(participant.Participant, json, where), where);
    const fresh = entry.status === participant.ParticipantStatus.UNSPECIFIED;
    if (fresh && entry.collateral < params.get(ctx).minCollateral)
      throw invalidGenesis(`${where}: too little collateral`);
    if (keeper.byOperator(ctx, entry.operator)) throw invalidGenesis(`${where}: ${entry.operator} appears twice`);
    asGenesis(() => {
      checkModels(params, ctx, entry.offers);
      store(ctx, fresh ? { ...entry, status: participant.ParticipantStatus.ACTIVE } : entry);
    });
    collateral += entry.collateral;
  });
  genesisList(given.former, "participant.former").forEach((json, i) => {
    const where = `participant.former[${i}]`;
    const row = genesisObject(json, where, ["operator", "convictions"]);
    const operator = String(row.operator);
    asGenesis(() => requireAddress(operator, where));
    formerConvictions.set(ctx.store(STORE), operator, genesisAmount(row.convictions, where));
  });
  if (given.nextNumber !== undefined) {
    const next = genesisAmount(given.nextNumber, "participant.nextNumber");
    if (next < (nextNumber.get(ctx.store(STORE)) ?? 1n)) throw invalidGenesis("participant.nextNumber is taken");
    nextNumber.set(ctx.store(STORE), next);
  }
  fundModuleAccount(ctx, bank, STORE, collateral);
}

/** The node address filled in and every field checked as a message's would be. */
function complete(entry: participant.Participant, where: string): participant.Participant {
  asGenesis(() => {
    requireAddress(entry.operator, `${where}.operator`);
    requireAddress(entry.validatorAddress, `${where}.validator_address`);
    checkNodeKey(entry.nodeKey);
    checkConsensusKey(entry.consensusKey);
    checkUrl(entry.url);
    checkOffers(entry.offers);
  });
  const nodeAddress = addressOfKey(entry.nodeKey);
  if (entry.nodeAddress !== "" && entry.nodeAddress !== nodeAddress) {
    throw invalidGenesis(`${where}: node_address is not that of node_key`);
  }
  return { ...entry, nodeAddress, bonded: 0n };
}

export function exportParticipants(keeper: ParticipantKeeper, ctx: Context): unknown {
  return {
    // Checks are not exported, and with them goes what stands behind accusations.
    participants: keeper.all(ctx).map((entry) => participant.Participant.toJSON({ ...entry, bonded: 0n })),
    former: Array.from(formerConvictions.entries(ctx.store(STORE)), ([operator, convictions]) => ({
      operator,
      convictions: convictions.toString(),
    })),
    nextNumber: (nextNumber.get(ctx.store(STORE)) ?? 1n).toString(),
  };
}
