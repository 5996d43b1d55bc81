import type * as abci from "cosmjs-types/tendermint/abci/types";
import type { TxOutcome } from "./execute.ts";
import type { ChainEvent, ValidatorUpdate } from "./module.ts";

/** Every attribute is indexed: whoever follows the chain looks for values. */
export const abciEvents = (events: readonly ChainEvent[]): abci.Event[] =>
  events.map(({ type, attributes }) => ({
    type,
    attributes: attributes.map(({ key, value }) => ({ key, value, index: true })),
  }));

export const abciTxResult = (outcome: TxOutcome): abci.ExecTxResult => ({
  code: outcome.code,
  data: outcome.data,
  log: outcome.log,
  info: "",
  gasWanted: outcome.gasWanted,
  gasUsed: outcome.gasUsed,
  events: abciEvents(outcome.events),
  codespace: outcome.codespace,
});

export const abciValidatorUpdate = ({ publicKey, power }: ValidatorUpdate): abci.ValidatorUpdate => ({
  pubKey: { ed25519: publicKey },
  power,
});
