/** Creates or resumes a network, proves it with a first verified inference, and leaves it running. */

import { ChainClient } from "@karat/client";
import { verification } from "@karat/proto";
import OpenAI from "openai";
import { isDecided, isFinished, isSettled, nameOf, watch } from "./lib/inference.ts";
import { rpcOf, url } from "./lib/layout.ts";
import { Network } from "./lib/network.ts";
import { type NetworkOptions, readOptions } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

const { CheckStatus } = verification;
const QUESTIONS = ["os.rename()", "os.path.join()", "re.split()", "json.dumps()", "socket.bind()", "open(2)"];

await runScript(async () => {
  const options = readOptions(process.argv.slice(2), { "no-proof": { type: "boolean" } });
  const began = Date.now();
  const network = Network.open(options.dir) ?? (await Network.create(options));
  print(`Karat localnet ${network.plan.chainId} in ${options.dir}`);
  await network.start(print);
  if (!options.flags["no-proof"]) await prove(network);
  report(network, options, began);
});

/**
 * Requests with the openai package until one of them was drawn for a check and long enough for a verdict; that one is
 * watched until it is recorded, verified and settled. A network of newcomers checks everything, an older one a sample.
 */
async function prove(network: Network): Promise<void> {
  const chain = await ChainClient.connect(rpcOf(network.plan));
  const client = new OpenAI({ baseURL: network.endpoint, apiKey: network.apiKey });
  const began = Date.now();
  const after = (): string => `${((Date.now() - began) / 1000).toFixed(1)} s`;
  for (let attempt = 0; ; attempt++) {
    const question = `What does ${QUESTIONS[attempt % QUESTIONS.length]} do? Explain it in detail.`;
    const { data, response } = await client.chat.completions
      .create({ model: network.plan.model, messages: [{ role: "user", content: question }], max_tokens: 60 })
      .withResponse();
    const id = response.headers.get("x-karat-inference-id") ?? "";
    print(
      `✓ ${attempt === 0 ? "a first" : "another"} answer (${after()}): “${question}” → “${data.choices[0]?.message.content?.trim().replaceAll("\n", " ")}”`,
    );
    const { record } = await watch(chain, id, isFinished, 60_000);
    print(`✓ recorded on chain at height ${record?.finishHeight} (${after()}), executor ${record?.executor}`);
    const { check } = await watch(chain, id, isDecided, 90_000);
    const unproved = check?.status === CheckStatus.ABSTAINED || check?.status === CheckStatus.UNCHECKED;
    if (unproved && attempt < 20) {
      print(
        `· ${check.status === CheckStatus.ABSTAINED ? "too short for a verdict" : "not drawn for a check"}; asking again`,
      );
      continue;
    }
    const verdict = nameOf(CheckStatus, check?.status);
    if (check?.status !== CheckStatus.VALID)
      throw new Error(`inference ${id} was not found valid but ${verdict}; see the logs in ${network.dir}`);
    print(`✓ re-checked by ${check.duties.map((duty) => duty.validator).join(", ")}: ${verdict} (${after()})`);
    const settled = await watch(chain, id, isSettled, 150_000);
    print(`✓ settled at height ${settled.record?.settleHeight}: ${settled.record?.cost} ukarat (${after()})`);
    return chain.close();
  }
}

function report(network: Network, options: NetworkOptions, began: number): void {
  const { plan } = network;
  const where = options.dir.endsWith("/.localnet") ? "" : ` --dir ${options.dir}`;
  print();
  print(`Ready after ${((Date.now() - began) / 1000).toFixed(0)} s. The network keeps running.`);
  print(`  OpenAI endpoint   ${network.endpoint}`);
  print(`  API key           ${network.apiKey}`);
  print(`  model             ${plan.model}`);
  print(`  CometBFT RPC      ${rpcOf(plan)}  (CosmJS connects here)`);
  print(`  REST              ${url(plan.chains[0]!.ports.rest)}  (wallets and explorers)`);
  for (const { index, address, ports } of plan.participants) {
    print(
      `  participant ${index}     ${address}  api ${url(ports.api)}  ml ${url(ports.ml)}  sidecar ${url(ports.sidecar)}`,
    );
  }
  print(`  logs and state    ${options.dir}`);
  print();
  print(`  scripts/localnet/chat${where} "What does os.path.join() do?"`);
  print(`  scripts/localnet/demo cheat          watch a cheater get caught`);
  print(`  scripts/localnet/status${where} --json    scripts/localnet/down${where}`);
}
