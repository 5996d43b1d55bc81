import type * as abci from "cosmjs-types/tendermint/abci/types";
import { BlockIDFlag } from "cosmjs-types/tendermint/types/validator";
import type { TxOutcome } from "./execute.ts";
import type { ConsensusFacts, ValidatorUpdate } from "./module.ts";

export const abciTxResult = (outcome: TxOutcome): abci.ExecTxResult => ({
  code: outcome.code,
  data: outcome.data,
  log: outcome.log,
  info: "",
  gasWanted: outcome.gasWanted,
  gasUsed: outcome.gasUsed,
  events: [...outcome.events],
  codespace: outcome.codespace,
});

export const abciValidatorUpdate = ({ publicKey, power }: ValidatorUpdate): abci.ValidatorUpdate => ({
  pubKey: { ed25519: publicKey },
  power,
});

/** A vote for nothing (nil) is a vote, too: the validator was there. */
export const consensusFacts = (request: abci.RequestFinalizeBlock): ConsensusFacts => ({
  votes: (request.decidedLastCommit?.votes ?? []).map(({ validator, blockIdFlag }) => ({
    address: validator.address,
    power: validator.power,
    signed: blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_COMMIT || blockIdFlag === BlockIDFlag.BLOCK_ID_FLAG_NIL,
  })),
  misbehavior: request.misbehavior.map(({ validator, height }) => ({ address: validator.address, height })),
});
