import { deposit, inference, params, participant, reward, sign, slashing, verification } from "@karat/proto";
import { BaseAccount, ModuleAccount } from "cosmjs-types/cosmos/auth/v1beta1/auth";
import { MsgMultiSend, MsgMultiSendResponse, MsgSend, MsgSendResponse } from "cosmjs-types/cosmos/bank/v1beta1/tx";
import { PubKey as Ed25519PubKey } from "cosmjs-types/cosmos/crypto/ed25519/keys";
import { LegacyAminoPubKey } from "cosmjs-types/cosmos/crypto/multisig/keys";
import { PubKey as Secp256k1PubKey } from "cosmjs-types/cosmos/crypto/secp256k1/keys";
import { voteOptionToJSON } from "cosmjs-types/cosmos/gov/v1/gov";
import * as gov from "cosmjs-types/cosmos/gov/v1/tx";
import * as upgrade from "cosmjs-types/cosmos/upgrade/v1beta1/tx";
import type { Formats } from "./formats.ts";

export interface Decoder {
  decode(bytes: Uint8Array): object;
}

interface AnyType {
  readonly type: Decoder;
  readonly formats?: Formats;
}

const COSMOS: Readonly<Record<string, Decoder>> = {
  "/cosmos.auth.v1beta1.BaseAccount": BaseAccount,
  "/cosmos.auth.v1beta1.ModuleAccount": ModuleAccount,
  "/cosmos.bank.v1beta1.MsgSend": MsgSend,
  "/cosmos.bank.v1beta1.MsgSendResponse": MsgSendResponse,
  "/cosmos.bank.v1beta1.MsgMultiSend": MsgMultiSend,
  "/cosmos.bank.v1beta1.MsgMultiSendResponse": MsgMultiSendResponse,
  "/cosmos.gov.v1.MsgSubmitProposal": gov.MsgSubmitProposal,
  "/cosmos.gov.v1.MsgSubmitProposalResponse": gov.MsgSubmitProposalResponse,
  "/cosmos.gov.v1.MsgDeposit": gov.MsgDeposit,
  "/cosmos.gov.v1.MsgDepositResponse": gov.MsgDepositResponse,
  "/cosmos.gov.v1.MsgVote": gov.MsgVote,
  "/cosmos.gov.v1.MsgVoteResponse": gov.MsgVoteResponse,
  "/cosmos.gov.v1.MsgVoteWeighted": gov.MsgVoteWeighted,
  "/cosmos.gov.v1.MsgVoteWeightedResponse": gov.MsgVoteWeightedResponse,
  "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade": upgrade.MsgSoftwareUpgrade,
  "/cosmos.upgrade.v1beta1.MsgCancelUpgrade": upgrade.MsgCancelUpgrade,
  "/cosmos.crypto.ed25519.PubKey": Ed25519PubKey,
  "/cosmos.crypto.multisig.LegacyAminoPubKey": LegacyAminoPubKey,
  "/cosmos.crypto.secp256k1.PubKey": Secp256k1PubKey,
};

/** Enums inside messages. */
const ENUMS: Readonly<Record<string, Formats>> = {
  "/cosmos.gov.v1.MsgVote": { option: voteOptionToJSON },
  "/cosmos.gov.v1.MsgVoteWeighted": { option: voteOptionToJSON },
  "/karat.inference.v1.MsgRecords": { finishReason: sign.finishReasonToJSON },
  "/karat.verification.v1.MsgSubmitVerdicts": { verdict: verification.verdictToJSON },
};

const MODULES: Readonly<Record<string, object>> = {
  deposit,
  inference,
  params,
  participant,
  reward,
  slashing,
  verification,
};

const isDecoder = (value: unknown): value is Decoder =>
  typeof value === "object" && value !== null && typeof (value as Partial<Decoder>).decode === "function";

function withEnums(url: string, type: Decoder): [string, AnyType] {
  const formats = ENUMS[url];
  return [url, { type, ...(formats !== undefined && { formats }) }];
}

/** Every message of Karat's modules and its response, by type URL. */
function* karatTypes(): Iterable<[string, AnyType]> {
  for (const [module, names] of Object.entries(MODULES)) {
    for (const [name, type] of Object.entries(names)) {
      if (!name.startsWith("Msg") || !isDecoder(type)) continue;
      const url = `/karat.${module}.v1.${name}`;
      yield withEnums(url, type);
    }
  }
}

const TYPES: ReadonlyMap<string, AnyType> = new Map([
  ...Object.entries(COSMOS).map(([url, type]) => withEnums(url, type)),
  ...karatTypes(),
]);

/** What an `Any` of this type URL holds; undefined for a type this chain has no use for. */
export const anyType = (typeUrl: string): AnyType | undefined => TYPES.get(typeUrl);
