import { afterEach, expect, test, vi } from "vitest";
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
    const { endpoint, apiKey } = net.network;
    const heard = listen(endpoint, apiKey);
    const outcome = await runCheat(net.network, attack, () => undefined);
    expect(outcome).toMatchObject({ convicted: true, honestFailures: [] });
    expect(outcome.failedChecks).toBeGreaterThanOrEqual(3);
    expect(outcome.refunded).toBeGreaterThan(0n);
    expect(outcome.slashed).toBeGreaterThan(0n);
    expect(outcome.reward).toMatchObject({ excluded: true, emission: 0n });
    // The client has heard of each false answer as it was found, what came back, and what it cost who gave it.
    const cheater = net.network.plan.participants.at(-1)!.address;
    await vi.waitFor(() => expect(heard.of("excluded")).toMatchObject([{ executor: cheater }]));
    const invalid = heard.of("invalid");
    expect(new Set(invalid.map(({ executor }) => executor))).toEqual(new Set([cheater]));
    expect(invalid.reduce((sum, { refund }) => sum + BigInt(refund), 0n)).toBe(outcome.refunded);
    for (const { penalty } of [...invalid, ...heard.of("excluded")]) expect(BigInt(penalty)).toBeGreaterThan(0n);
    heard.end();
  },
);

interface Heard {
  readonly type: string;
  readonly executor: string;
  readonly refund: string;
  readonly penalty: string;
}

/** What the API node tells a client over its stream of notices. */
function listen(endpoint: string, apiKey: string): { of(type: string): Heard[]; end(): void } {
  const leave = new AbortController();
  let text = "";
  const reading = async (): Promise<void> => {
    const url = new URL("/karat/v1/notices?stream=1", endpoint);
    const response = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` }, signal: leave.signal });
    const decoder = new TextDecoder();
    for await (const chunk of response.body!) text += decoder.decode(chunk, { stream: true });
  };
  reading().catch(() => undefined);
  const all = (): Heard[] =>
    text
      .split("\n\n")
      .slice(0, -1)
      .flatMap((event) => /^data: (.*)$/m.exec(event)?.[1] ?? [])
      .map((data): Heard => JSON.parse(data));
  return { of: (type) => all().filter((notice) => notice.type === type), end: () => leave.abort() };
}
