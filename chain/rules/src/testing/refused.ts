import { isRuleError } from "../errors.ts";

/** Whether it is refused as an invalid artifact; what else it throws passes. */
export function refused(run: () => unknown): boolean {
  try {
    run();
  } catch (error) {
    if (isRuleError(error, "invalid_artifact")) return true;
    throw error;
  }
  return false;
}
