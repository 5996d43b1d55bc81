/** Asks the running network one question and prints the answer as it comes. */
import OpenAI from "openai";
import { Network } from "./lib/network.ts";
import { readOptions, UsageError } from "./lib/options.ts";
import { print, runScript } from "./lib/run.ts";

await runScript(async () => {
  const options = readOptions(process.argv.slice(2));
  const network = Network.open(options.dir);
  if (!network) throw new UsageError(`no network in ${options.dir}; start one with scripts/localnet/up`);
  const question = options.rest.join(" ");
  if (question === "") throw new UsageError('ask something: scripts/localnet/chat "What does os.rename() do?"');
  const client = new OpenAI({ baseURL: network.endpoint, apiKey: network.apiKey });
  const { data: stream, response } = await client.chat.completions
    .create({
      model: network.plan.model,
      messages: [{ role: "user", content: question }],
      stream: true,
      max_tokens: 200,
    })
    .withResponse();
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  print(`\n— inference ${response.headers.get("x-karat-inference-id")} by ${response.headers.get("x-karat-executor")}`);
});
