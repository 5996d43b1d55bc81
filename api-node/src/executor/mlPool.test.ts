import { silentLogger } from "@karat/common";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FakeMlNode } from "../testing/fakeMlNode.ts";
import { TEST_MODEL } from "../testing/fakeView.ts";
import { type Lease, MlPool } from "./mlPool.ts";

const NODES = 3;
const servers: FakeMlNode[] = [];
beforeAll(async () => {
  for (let i = 0; i < NODES; i++) servers.push(await FakeMlNode.start());
});
afterAll(async () => {
  for (const server of servers) await server.close();
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: "lease" as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat(), failed: fc.boolean() }) },
  fc.record({ do: fc.constantFrom("enable", "disable", "remove", "add"), node: fc.nat(NODES - 1) }),
);

test("work goes to the least loaded node that may have it, and never beyond what a node takes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const pool = new MlPool({ log: silentLogger, idleMs: 1_000 });
      const present = new Map<string, { enabled: boolean; healthy: boolean; running: number }>();
      const leases: Lease[] = [];
      const runningOn = (url: string): number => leases.filter(({ node }) => node.url === url).length;
      try {
        for (const each of steps) {
          if (each.do === "lease") {
            const lease = pool.lease(TEST_MODEL);
            const able = [...present].filter(([, { enabled, healthy }]) => enabled && healthy).map(([url]) => url);
            const least = Math.min(...able.map(runningOn));
            if (lease === undefined) {
              const { capacity } = (await modelOf(servers[0]!)).models[0]!;
              expect(able.every((url) => runningOn(url) >= 2 * capacity)).toBe(true);
            } else {
              expect(able).toContain(lease.node.url);
              expect(runningOn(lease.node.url)).toBe(least);
              leases.push(lease);
            }
          } else if (each.do === "release") {
            const [lease] = leases.splice(each.which % Math.max(1, leases.length), 1);
            lease?.release(each.failed);
            lease?.release();
            const state = lease && present.get(lease.node.url);
            if (state && each.failed) state.healthy = false;
          } else {
            const { url } = servers[each.node]!;
            const known = present.get(url);
            if (each.do === "add" && !known) {
              // A node that comes back is another member than the one that left: its old work does not count for it.
              if (runningOn(url) > 0) continue;
              await pool.add({ url });
              present.set(url, { enabled: true, healthy: true, running: 0 });
            } else if (known && each.do === "remove") {
              await pool.remove(url);
              present.delete(url);
            } else if (known && each.do !== "add") {
              pool.setEnabled(url, each.do === "enable");
              known.enabled = each.do === "enable";
            }
          }
          for (const { url, running, enabled } of pool.states()) {
            expect(running).toBe(runningOn(url));
            expect(enabled).toBe(present.get(url)!.enabled);
          }
        }
      } finally {
        await pool.close();
      }
    }),
    { numRuns: 40 },
  );
});

const modelOf = async (server: FakeMlNode): Promise<{ models: { capacity: number }[] }> =>
  (await fetch(`${server.url}/karat/v1/models`)).json() as Promise<{ models: { capacity: number }[] }>;

test("a node named once more with a slash at its end had twice its capacity", async () => {
  const pool = new MlPool({ log: silentLogger, idleMs: 1_000 });
  const { url } = servers[0]!;
  await pool.add({ url });
  await pool.add({ url: `${url}/` });
  expect(pool.states().map((state) => state.url)).toEqual([url]);
  await pool.remove(`${url}/`);
  expect(pool.states()).toEqual([]);
  await pool.close();
});

test("a node added again with another token went on with the old one", async () => {
  const pool = new MlPool({ log: silentLogger, idleMs: 1_000 });
  const { url } = servers[0]!;
  await pool.add({ url, token: "old" });
  pool.setEnabled(url, false);
  await pool.add({ url, token: "new" });
  expect(pool.configs()).toEqual([{ url, token: "new", enabled: false }]);
  await pool.close();
});
