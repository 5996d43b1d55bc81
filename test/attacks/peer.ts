/** The nearest peer's test, as it was published and with the rule it added in October 2026, on the same runs as ours. */
import { type ArtifactPosition, gonkaDistance, type TokenLogit } from "@karat/rules";

export interface PeerScore {
  /** Their distance; rejected above a threshold of the model. */
  distance: number;
  /** max(Σd/N − 0.10/√N, Σd/max(100, N)): long outputs are no longer forgiven for the deviations of a few tokens, nor short ones let through. */
  distance2026: number;
  /** Rejected whatever the distance: more than 2 % of the positions with d > 0.30, or tokens that the validator holds impossible. */
  rejected2026: boolean;
}

/** `recorded` with token ids and unrounded values, as the peer's executors deliver them; `validator` by falling log-probability or not. */
export function peerScore(
  recorded: readonly ArtifactPosition[],
  validator: readonly (readonly TokenLogit[])[],
  k: number,
): PeerScore {
  const n = recorded.length;
  // One position alone has 100 in its denominator.
  const d = recorded.map((position, i) => 100 * gonkaDistance([position], [validator[i] ?? []], k));
  const sum = d.reduce((total, value) => total + value, 0);
  const far = d.filter((value) => value > 0.3).length;
  const impossible = recorded.filter(({ id }, i) => {
    const own = (validator[i] ?? []).find(([other]) => other === id)?.[1];
    return own === undefined || Math.exp(own) === 0;
  }).length;
  return {
    distance: gonkaDistance(recorded, validator, k),
    distance2026: n === 0 ? 0 : Math.max(sum / n - 0.1 / Math.sqrt(n), sum / Math.max(100, n)),
    rejected2026: far > Math.floor(0.02 * n) || impossible > Math.max(1, Math.ceil(0.03 * n)),
  };
}
