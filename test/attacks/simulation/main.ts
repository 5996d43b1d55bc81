/** `node test/attacks/simulation/main.ts`: prints the simulations of standing and economics as one JSON line each. */
import { randomFrom } from "../random.ts";
import { expectedGain, PARTICIPANTS, TERMS, worthOfOneCheat } from "./economics.ts";
import { simulateCheater, simulateHonest } from "./standing.ts";

const random = randomFrom(20_261_121);
const print = (what: string, data: object): void => console.log(JSON.stringify({ what, ...data }));

for (const correlated of [false, true]) {
  print("honest", { correlated, ...simulateHonest(10_000, 10_000, correlated, random) });
}
for (const [share, past, trials, horizon] of [
  [1, 0, 2_000, 50],
  [0.3, 0, 2_000, 500],
  [0.1, 0, 2_000, 2_000],
  [0.01, 0, 60, 20_000],
  [1, 1_000_000, 2_000, 50],
  [0.3, 1_000_000, 2_000, 500],
  [0.1, 1_000_000, 2_000, 2_000],
] as const) {
  print("cheater", simulateCheater(share, past, trials, horizon, random));
}

for (const stakes of PARTICIPANTS) {
  print("one cheat", { stakes: stakes.name, worth: worthOfOneCheat(stakes, TERMS) });
  for (const share of [0, 0.001, 0.01, 0.1, 0.3, 0.5, 1]) {
    const cheats = Math.max(1, Math.round(share * stakes.inferences));
    if (share > 0 && cheats === 1) continue;
    const trials = Math.ceil(2_000_000 / stakes.inferences);
    print("economics", expectedGain(stakes, TERMS, cheats, trials, random));
  }
}
