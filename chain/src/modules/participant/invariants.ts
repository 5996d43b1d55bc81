import type { Context } from "../../app/module.ts";
import type { Bank } from "./expects.ts";
import { consensusAddress } from "./keeper.ts";
import {
  ACCOUNT,
  byConsensusAddress,
  byConsensusKey,
  byNode,
  byNumber,
  byValidator,
  count,
  participants,
  STORE,
} from "./keys.ts";

export function participantInvariants(bank: Bank, ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  const counts = { participants: 0, consensus: 0, nodes: 0, validators: 0, keys: 0 };
  let collateral = 0n;
  for (const [operator, entry] of participants.entries(store)) {
    collateral += entry.collateral;
    counts.participants++;
    if (byNumber.get(store, BigInt(entry.number)) !== operator) broken.push(`number index of ${operator}`);
    if (byNode.get(store, entry.nodeAddress) !== operator) broken.push(`node index of ${operator}`);
    if (byValidator.get(store, entry.validatorAddress) !== operator) broken.push(`validator index of ${operator}`);
    if (entry.consensusKey.length === 0) continue;
    counts.consensus++;
    if (byConsensusKey.get(store, entry.consensusKey) !== operator) broken.push(`consensus key index of ${operator}`);
    if (byConsensusAddress.get(store, consensusAddress(entry.consensusKey)) !== operator) {
      broken.push(`consensus address index of ${operator}`);
    }
  }
  for (const _ of byNode.entries(store)) counts.nodes++;
  for (const _ of byValidator.entries(store)) counts.validators++;
  for (const _ of byConsensusKey.entries(store)) counts.keys++;
  if (counts.nodes !== counts.participants || counts.validators !== counts.participants) {
    broken.push(`indexes hold ${counts.nodes} nodes and ${counts.validators} validators of ${counts.participants}`);
  }
  if ((count.get(store) ?? 0n) !== BigInt(counts.participants)) broken.push("count of participants");
  if (Array.from(byConsensusAddress.entries(store)).length !== counts.consensus) broken.push("consensus addresses");
  if (counts.keys !== counts.consensus) broken.push(`${counts.keys} consensus keys indexed of ${counts.consensus}`);
  const held = bank.balance(ctx, ACCOUNT);
  if (held !== collateral) broken.push(`collateral account holds ${held}, participants ${collateral}`);
  return broken;
}
