/** Records as nodes make them, from what is open to what rides on chain. */
import { sha256 } from "@karat/common";
import {
  compactRecords,
  type inference,
  type Numbers,
  type OpenBatch,
  type OpenFinish,
  statementOf,
} from "@karat/proto";
import { DEFAULT_SAMPLING } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { accountKeeper } from "../auth/index.ts";
import { models, STORE as PARAMS } from "../params/keys.ts";
import { STORE as PARTICIPANT, participants } from "../participant/keys.ts";

/** A number that nobody has. */
const NOBODY = 0x7fff_ffff;

/** The numbers of a state; what it does not know has one that nobody has. */
export function numbersIn(ctx: Context): Numbers {
  return {
    account(address) {
      const account = accountKeeper.get(ctx, address);
      return { number: account?.accountNumber ?? BigInt(NOBODY), keyKnown: account?.publicKey !== undefined };
    },
    participant: (operator) => participants.get(ctx.store(PARTICIPANT), operator)?.number ?? NOBODY,
    model: (id) => models.get(ctx.store(PARAMS), id)?.number ?? NOBODY,
  };
}

/** A batch as it rides. */
export const compacted = (ctx: Context, batch: OpenBatch): inference.MsgRecords =>
  compactRecords(batch, numbersIn(ctx), { ...DEFAULT_SAMPLING });

/** A finish with the root of its statement; its payload rides where there is one. */
export function openFinish(chainId: string, record: inference.FinishRecord): OpenFinish {
  const inline = record.output.length + record.tokenIds.length + record.artifact.length > 0;
  return { record, root: sha256(statementOf(chainId, record)), inline };
}

/** The code of each record of a batch, in order. */
export function codesOf(message: inference.MsgRecords, { refusals }: inference.MsgRecordsResponse): number[] {
  const { starts, finishes, delivered, deliveredInPart, deliveries } = message;
  const count = starts.length + finishes.length + delivered.length + deliveredInPart.length + deliveries.length;
  const codes = new Array<number>(count).fill(0);
  for (const { index, code } of refusals) codes[index] = code;
  return codes;
}
