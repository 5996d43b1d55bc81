import { afterEach, expect, test } from "vitest";
import { Pair } from "./pair.ts";
import { Random } from "./random.ts";
import { World } from "./world.ts";

let pair: Pair | undefined;
afterEach(() => pair?.close());

async function open(): Promise<{ pair: Pair; random: Random }> {
  const random = new Random("pair");
  const world = new World("karat-pair", random);
  pair = await Pair.open({ chainId: world.chainId, seed: "pair", initialHeight: 1n, appState: world.appState() });
  pair.execute([], random);
  return { pair, random };
}

test("a replica that executes something else is noticed", async () => {
  const { pair, random } = await open();
  const { app } = pair.memory;
  const finalize = app.finalizeBlock.bind(app);
  // One event that the other does not have: less than any hash of the state shows.
  app.finalizeBlock = (request) => ({ ...finalize(request), events: [] });
  expect(() => {
    for (let i = 0; i < 20; i++) pair.execute([], random);
  }).toThrow(expect.objectContaining({ code: "replicas_differ" }));
});

test("a replica that has lost an entry is noticed", async () => {
  const { pair, random } = await open();
  const { store } = pair.memory;
  const stage = store.stage.bind(store);
  store.stage = (height, changes) => stage(height, new Map([...changes].slice(1)));
  expect(() => pair.execute([], random)).toThrow(expect.objectContaining({ code: "replicas_differ" }));
});
