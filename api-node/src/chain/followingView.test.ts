import type { ChainClient, ChainEvent } from "@karat/client";
import { KaratError, sha256, silentLogger, utf8 } from "@karat/common";
import { deposit, epoch, params, participant } from "@karat/proto";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DepositCache, type Hold, Holds } from "./deposits.ts";
import { FollowingView } from "./followingView.ts";

/** A chain's RPC by script. */
class FakeChain {
  height = 50n;
  away = false;
  readonly events = new Map<bigint, ChainEvent[]>();
  epoch = epoch.Epoch.fromPartial({ number: 2n, startHeight: 41n, endHeight: 60n, members: [{ operator: "a" }] });
  participants = [participant.Participant.fromPartial({ operator: "a" })];
  queries = 0;
  readonly chainId = "karat-test-1";

  readonly query = {
    params: () => this.#answer(() => params.Params.fromPartial({ maxAnchorAge: 5n, inferenceDeadline: 8n })),
    models: () => this.#answer(() => [params.Model.fromPartial({ id: "m" })]),
    participants: () => this.#answer(() => this.participants),
    epoch: (number?: bigint) =>
      this.#answer(() =>
        number === undefined
          ? this.epoch
          : epoch.Epoch.fromPartial({
              number,
              startHeight: this.epoch.startHeight - 20n,
              endHeight: this.epoch.startHeight - 1n,
            }),
      ),
    beacon: (height: bigint) => this.#answer(() => ({ height, beacon: this.beacon(height) })),
    deposit: (client: string) => this.#answer(() => deposit.Deposit.fromPartial({ client, available: 10n })),
  };

  beacon = (height: bigint): Uint8Array => sha256(utf8(String(height)));
  status = () => this.#answer(() => ({ height: this.height, timeMs: 0 }));
  block = (height: bigint) => this.#answer(() => ({ height, txs: [], events: this.events.get(height) ?? [] }));
  close(): void {}

  async #answer<T>(make: () => T): Promise<T> {
    this.queries++;
    if (this.away) throw new KaratError("chain_unavailable", "by script");
    return make();
  }
}

let chain: FakeChain;
let view: FollowingView;
let saved: bigint | undefined;
const open = (): FollowingView =>
  new FollowingView({
    connect: async () => {
      await chain.status();
      return chain as unknown as ChainClient;
    },
    log: silentLogger,
    pollMs: 10,
    cursor: {
      load: () => saved,
      save: (height) => {
        saved = height;
      },
    },
  });
beforeEach(() => {
  chain = new FakeChain();
  saved = undefined;
  view = open();
});
afterEach(() => view.close());
const at = (height: bigint) => vi.waitFor(() => expect(view.height()).toBe(height), 5_000);
const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return error instanceof KaratError ? error.code : error;
  }
};

describe("the view of the chain", () => {
  test("says so while it never had any state, and begins when the chain answers", async () => {
    chain.away = true;
    view.start();
    expect(codeOf(() => view.height())).toBe("chain_unavailable");
    expect(codeOf(() => view.params())).toBe("chain_unavailable");
    expect(view.ready).toBe(false);
    chain.away = false;
    await at(50n);
    expect(view.chainId).toBe("karat-test-1");
  });

  test("several chain queries for each request (Gonka): what a request reads is here, and a deposit is read once a block at most", async () => {
    view.start();
    await at(50n);
    // Polls for the next block go on beside this.
    let deposits = 0;
    const { deposit: ask } = chain.query;
    chain.query.deposit = (client) => {
      deposits++;
      return ask(client);
    };
    for (let request = 0; request < 1_000; request++) {
      view.params();
      view.models();
      view.beacon(view.height());
      view.epochAt(50n)?.members.forEach(({ operator }) => {
        view.participant(operator);
      });
      await view.deposit("karat1client", 10n);
    }
    expect(deposits).toBe(1);
  });

  test("knows the beacons of the recent heights and forgets the others", async () => {
    view.start();
    await at(50n);
    expect(view.beacon(45n)).toEqual(chain.beacon(45n));
    expect(view.beacon(44n)).toBeUndefined();
    chain.height = 90n;
    chain.epoch = { ...chain.epoch, endHeight: 200n };
    await at(90n);
    expect(view.beacon(90n)).toEqual(chain.beacon(90n));
    // Of an answer that may be continued yet, and of one that may not.
    expect(view.beacon(74n)).toEqual(chain.beacon(74n));
    expect(view.beacon(70n)).toBeUndefined();
  });

  test("reads the new epoch at its switch and keeps the one before", async () => {
    view.start();
    await at(50n);
    chain.epoch = epoch.Epoch.fromPartial({ number: 3n, startHeight: 61n, endHeight: 80n });
    chain.height = 62n;
    await at(62n);
    expect(view.epochAt(62n)?.number).toBe(3n);
    expect(view.epochAt(60n)?.number).toBe(2n);
    expect(view.epochAt(40n)).toBeUndefined();
  });

  test("reads participants and epoch anew when one was excluded", async () => {
    view.start();
    await at(50n);
    chain.epoch = { ...chain.epoch, members: [epoch.Member.fromPartial({ operator: "a", excludedHeight: 52n })] };
    chain.events.set(51n, [{ type: "participant_excluded", attributes: [] }]);
    chain.height = 51n;
    await at(51n);
    expect(view.epochAt(51n)?.members[0]?.excludedHeight).toBe(52n);
  });

  test("stands when the chain stops, and goes on when it is back", async () => {
    view.start();
    await at(50n);
    await view.deposit("client", 1n);
    chain.away = true;
    expect(view.height()).toBe(50n);
    expect(view.params().maxAnchorAge).toBe(5n);
    expect((await view.deposit("client", 1n))?.available).toBe(10n);
    await expect(view.deposit("stranger", 1n)).rejects.toMatchObject({ code: "chain_unavailable" });
    chain.away = false;
    chain.height = 53n;
    await at(53n);
  });

  test("waits for a beacon that is about to come, and not for ever", async () => {
    view.start();
    await at(50n);
    const coming = view.awaitBeacon(51n, 5_000);
    chain.height = 51n;
    expect(await coming).toEqual(chain.beacon(51n));
    expect(await view.awaitBeacon(99n, 30)).toBeUndefined();
  });

  test("shows its listeners every block, also those of the time it was away", async () => {
    const seen: bigint[] = [];
    view.onBlock(({ height }) => seen.push(height));
    view.start();
    await at(50n);
    chain.height = 52n;
    await vi.waitFor(() => expect(seen).toEqual([51n, 52n]), 5_000);
    await view.close();
    chain.height = 55n;
    const again: bigint[] = [];
    const before = saved!;
    view = open();
    view.onBlock(({ height }) => again.push(height));
    view.start();
    await vi.waitFor(() => expect(again.at(-1)).toBe(55n), 5_000);
    expect(again[0]).toBe(before + 1n);
  });
});

describe("deposits", () => {
  const cache = (available: () => bigint, height: () => bigint) => {
    let reads = 0;
    const made = new DepositCache({
      query: async (client) => {
        reads++;
        return deposit.Deposit.fromPartial({ client, available: available() });
      },
      height,
      maxClients: 2,
    });
    return { made, reads: () => reads };
  };

  test("are read once for requests that come together, and not again while they are fresh", async () => {
    const { made, reads } = cache(
      () => 100n,
      () => 1n,
    );
    await Promise.all([made.get("a", 1n), made.get("a", 1n), made.get("a", 1n)]);
    await made.get("a", 1n);
    expect(reads()).toBe(1);
  });

  test("are read again before a request is refused for them", async () => {
    let available = 0n;
    const { made } = cache(
      () => available,
      () => 1n,
    );
    expect((await made.get("a", 5n))?.available).toBe(0n);
    available = 50n;
    expect((await made.get("a", 5n))?.available).toBe(50n);
  });

  test("of the client that came least lately are forgotten", async () => {
    const { made, reads } = cache(
      () => 100n,
      () => 1n,
    );
    for (const client of ["a", "b", "a", "c", "a"]) await made.get(client, 1n);
    expect(reads()).toBe(3);
    await made.get("b", 1n);
    expect(reads()).toBe(4);
  });

  test("cannot be promised twice by requests that run at once", () => {
    const holds = new Holds(() => 1n);
    const of = deposit.Deposit.fromPartial({ available: 10n, refunding: 2n });
    const { release } = holds.take("a", 6n, of);
    expect(() => holds.take("a", 3n, of)).toThrow(expect.objectContaining({ code: "insufficient_deposit" }));
    release();
    release();
    expect(holds.of("a")).toBe(0n);
    holds.take("a", 8n, of);
  });

  test("never cover more than they hold, however requests begin, end and are recorded", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("take" as const), amount: fc.bigInt(1n, 40n) }),
      fc.record({ kind: fc.constantFrom("begin" as const, "release" as const), at: fc.nat() }),
      fc.record({ kind: fc.constant("block" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let height = 1n;
        const holds = new Holds(() => height);
        const of = deposit.Deposit.fromPartial({ available: 100n });
        const open: { hold: Hold; amount: bigint; begun: boolean; until?: bigint }[] = [];
        for (const next of steps) {
          if (next.kind === "block") height++;
          else if (next.kind === "take") {
            const { amount } = next;
            const taken = open.filter(({ until }) => until === undefined || until > height);
            const sum = taken.reduce((all, one) => all + one.amount, 0n);
            expect(holds.of("a")).toBe(sum);
            if (sum + amount > 100n) expect(() => holds.take("a", amount, of)).toThrow();
            else open.push({ hold: holds.take("a", amount, of), amount, begun: false });
          } else {
            const one = open[next.at % Math.max(1, open.length)];
            if (!one || one.until !== undefined) continue;
            if (next.kind === "begin") {
              one.hold.begun();
              one.begun = true;
            } else {
              one.hold.release();
              one.until = one.begun ? height + 6n : height;
            }
          }
        }
      }),
    );
  });

  test("still cover what was begun while the chain stands still (over-admission)", async () => {
    const holds = new Holds(() => 5n);
    const of = deposit.Deposit.fromPartial({ available: 10n });
    for (let i = 0; i < 2; i++) {
      const hold = holds.take("a", 5n, of);
      hold.begun();
      hold.release();
    }
    expect(() => holds.take("a", 1n, of)).toThrow(expect.objectContaining({ code: "insufficient_deposit" }));
  });
});
