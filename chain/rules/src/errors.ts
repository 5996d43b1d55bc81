/** What a rule refuses. Append only: other packages and tests switch on these. */
export type RuleErrorCode =
  | "invalid_request"
  | "invalid_json_value"
  | "invalid_hex"
  | "invalid_sampling"
  | "invalid_logits"
  | "invalid_artifact"
  | "invalid_candidates"
  | "invalid_commitment"
  | "invalid_amount"
  | "invalid_rate"
  | "invalid_statistics"
  | "invalid_profile";

/** A value that a rule refuses. `param` names the field, as the OpenAI error object does; nobody parses `message`. */
export class RuleError extends Error {
  override readonly name = "RuleError";
  readonly code: RuleErrorCode;
  readonly param: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: RuleErrorCode, param: string, message: string, data: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.param = param;
    this.data = data;
  }
}

/** True when `error` is a RuleError, of one of the given codes where any are given. */
export function isRuleError(error: unknown, ...codes: RuleErrorCode[]): error is RuleError {
  return error instanceof RuleError && (codes.length === 0 || codes.includes(error.code));
}
