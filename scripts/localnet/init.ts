/** Keys and genesis of the network in docker-compose.yml, once: `node scripts/localnet/init.ts --dir /net`. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeGenesis } from "./lib/genesis.ts";
import { apiKeyOf, makePlan, planFile, readPlan, writeJson } from "./lib/layout.ts";
import { readOptions, UsageError, WEIGHTS } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2));
  const { dir } = options;
  if (options.weights !== WEIGHTS[0]) throw new UsageError(`containers serve ${WEIGHTS[0]} only`);
  if (readPlan(dir)) return print(`${dir} holds a network already`);
  const plan = makePlan(dir, options);
  // Containers reach each other by service name.
  await writeGenesis(dir, plan, {}, (participant) => `http://api-${participant.index}:8080`);
  for (const { index, address } of plan.participants)
    writeFileSync(join(dir, "keys", `operator-${index}.address`), address);
  // ML nodes and admin ports that listen beyond their own container ask for it.
  writeFileSync(join(dir, "token"), randomBytes(32).toString("hex"), { mode: 0o600 });
  writeJson(planFile(dir), plan);
  writeFileSync(join(dir, "api-key"), apiKeyOf(dir));
  print(`✓ keys and genesis of ${plan.chainId} in ${dir}`);
});
