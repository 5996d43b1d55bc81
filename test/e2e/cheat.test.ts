import { afterEach, expect, test } from "vitest";
import { runCheat } from "../../scripts/localnet/lib/cheat.ts";
import { startNetwork, type TestNetwork } from "./support.ts";

let net: TestNetwork | undefined;
afterEach(async () => {
  await net?.close();
  net = undefined;
});

test.each([
  { kind: "swap", model: "karat-tiny-q4_0" },
  { kind: "launder", model: "karat-mini-f16" },
] as const)(
  "$kind by $model is convicted, refunded and excluded from rewards, and nobody honest is",
  async (attack) => {
    net = await startNetwork();
    const outcome = await runCheat(net.network, attack, () => undefined);
    expect(outcome).toMatchObject({ convicted: true, honestFailures: [] });
    expect(outcome.failedChecks).toBeGreaterThanOrEqual(3);
    expect(outcome.refunded).toBeGreaterThan(0n);
    expect(outcome.slashed).toBeGreaterThan(0n);
    expect(outcome.reward).toMatchObject({ excluded: true, emission: 0n });
  },
);
