import { RuleError } from "./errors.ts";
import { domainHash } from "./hash.ts";

export interface CheckedValues {
  readonly chainId: string;
  readonly inferenceId: Uint8Array;
  /** Operator address: nobody can hand in another's commitment as its own. */
  readonly validator: string;
  /** SHA-256 of the validator's own log-probabilities, coded as an artifact. 32 bytes. */
  readonly valuesHash: Uint8Array;
  /** What sampling showed: it never needs the artifact, so it is settled together with the values. */
  readonly gatedMargins: number;
  readonly positions: number;
  /** 16 to 64 random bytes. */
  readonly salt: Uint8Array;
}

/**
 * What a validator puts on chain before it may see the executor's artifact (verification.md §7). 32 bytes. Throws
 * `invalid_commitment` on values of the wrong size.
 */
export function checkCommitment(values: CheckedValues): Uint8Array {
  const { chainId, inferenceId, validator, valuesHash, gatedMargins, positions, salt } = values;
  if (valuesHash.length !== 32) throw new RuleError("invalid_commitment", "valuesHash", "32 bytes");
  if (salt.length < 16 || salt.length > 64) throw new RuleError("invalid_commitment", "salt", "16 to 64 bytes");
  return domainHash(
    "karat/check-commitment",
    chainId,
    inferenceId,
    validator,
    valuesHash,
    BigInt(gatedMargins),
    BigInt(positions),
    salt,
  );
}
