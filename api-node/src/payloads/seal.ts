/** Which peers may see an artifact: it opens to a validator when its own values are committed, to all when the check is over. */
import { inference, verification } from "@karat/proto";

const { CheckStatus } = verification;
const OPEN: readonly verification.CheckStatus[] = [CheckStatus.PENDING, CheckStatus.ANSWERED, CheckStatus.COMMITTEE];

/** Those of an open check, and those who have not been asked yet, do not see it. */
export type CheckReader = (inferenceId: Uint8Array) => Promise<verification.Check | undefined>;

/**
 * The payload as `operator` may have it: whole, or a finish record without its artifact. What is no finish record has nothing to
 * seal.
 */
export async function unsealed(bytes: Uint8Array, operator: string, checkOf: CheckReader): Promise<Uint8Array> {
  const record = finishRecordOf(bytes);
  if (record === undefined || mayOpen(await checkOf(record.inferenceId), operator)) return bytes;
  return inference.FinishRecord.encode({ ...record, artifact: new Uint8Array() }).finish();
}

export function mayOpen(check: verification.Check | undefined, operator: string): boolean {
  if (check === undefined) return false; // not drawn yet: anybody may be asked
  if (!OPEN.includes(check.status)) return true;
  return check.duties.some(({ validator, commitment }) => validator === operator && commitment.length > 0);
}

/** A request is JSON: its first byte is no tag of a finish record. */
function finishRecordOf(bytes: Uint8Array): inference.FinishRecord | undefined {
  try {
    const record = inference.FinishRecord.decode(bytes);
    return record.inferenceId.length === 32 && record.artifactRoot.length === 32 ? record : undefined;
  } catch {
    return undefined;
  }
}
