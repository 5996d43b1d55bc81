/** Watches one inference through its life on chain. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ChainClient } from "@karat/client";
import { fromHex, isKaratError } from "@karat/common";
import { inference, verification } from "@karat/proto";

const { InferenceStatus } = inference;
const { CheckStatus } = verification;
const OPEN: readonly verification.CheckStatus[] = [CheckStatus.PENDING, CheckStatus.ANSWERED, CheckStatus.COMMITTEE];

export interface Life {
  readonly record: inference.Inference | undefined;
  readonly check: verification.Check | undefined;
}

/** Reads record and check until `done`; throws when the time is over. */
export async function watch(
  chain: ChainClient,
  idHex: string,
  done: (life: Life) => boolean,
  timeoutMs: number,
): Promise<Life> {
  const id = fromHex(idHex);
  const until = Date.now() + timeoutMs;
  for (;;) {
    try {
      const [record, check] = await Promise.all([chain.query.inference(id), chain.query.check(id)]);
      if (done({ record, check })) return { record, check };
    } catch (error) {
      if (!isKaratError(error)) throw error;
    }
    if (Date.now() > until) throw new Error(`inference ${idHex} did not get there in ${timeoutMs / 1000} s`);
    await sleep(200);
  }
}

export const isFinished = ({ record }: Life): boolean =>
  record !== undefined && record.status !== InferenceStatus.STARTED;
export const isDecided = ({ check }: Life): boolean => check !== undefined && !OPEN.includes(check.status);
export const isSettled = ({ record }: Life): boolean => record?.status === InferenceStatus.SETTLED;

/** `SETTLED`, `VALID` … for people. */
export function nameOf(kind: Readonly<Record<string, number>>, value: number | undefined): string {
  return Object.entries(kind).find(([, number]) => number === value)?.[0] ?? "unknown";
}
