/** Log-probabilities that validators commit to: of one model, or made up. */
import type { verification } from "@karat/proto";
import { domainHash, drawnWindow, openValues, valuesRoot, valuesWindows } from "@karat/rules";
import type { Context } from "../../app/module.ts";
import { beacons, STORE as EPOCH } from "../epoch/keys.ts";
import { isConvened } from "../verification/transition.ts";
import { settledHeight } from "../verification/windows.ts";

const CODING = { step: "1/128", k: 5 } as const;

export interface OwnValues {
  readonly windows: readonly Uint8Array[];
  readonly positions: number;
  readonly valuesHash: Uint8Array;
}

/** The same for everybody who computes with the same `model`. */
export function valuesOf(model: string, tokens: number): OwnValues {
  const positions = Array.from({ length: tokens }, (_, i) => {
    const bytes = domainHash("karat/test/values", model, BigInt(i));
    const top = Array.from({ length: CODING.k }, (_, id) => ({ id, logprob: -(bytes[id]! + 256 * id) / 160 }));
    return { id: 0, top };
  });
  const windows = valuesWindows(positions, CODING);
  return { windows, positions: tokens, valuesHash: valuesRoot(windows, tokens) };
}

/** One more than the window that a second look at an output of `tokens` has opened, or 0. */
export function windowWanted(ctx: Context, check: verification.Check, tokens: number): number {
  const settled = isConvened(check) ? settledHeight(check) : undefined;
  const beacon = settled === undefined ? undefined : beacons.get(ctx.store(EPOCH), settled);
  return beacon === undefined || tokens === 0 ? 0 : drawnWindow(beacon, check.inferenceId, tokens) + 1;
}

/** What a second look wants, where it wants one; `window` as the query has it. */
export function windowOf({ windows, positions }: OwnValues, window: number): verification.ValuesWindow | undefined {
  if (window === 0 || window > windows.length) return undefined;
  const { coded, path } = openValues(windows, positions, window - 1);
  return { coded, path: [...path] };
}
