/**
 * The least that two Node.js processes can do between client and ML node, for comparison: HTTP in and out, JSON read and written, and the
 * signatures that third parties must be able to check. No draw, no records, no failover, no limits, nothing kept.
 * `node floor.ts <port> <ML node> [<peer>]`: with a peer, every second request crosses to it. Prints a line when it listens.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { newPrivateKey, publicKeyOf, sha256, signDigest, verifySignature } from "@karat/common";
import { readBody } from "@karat/common/http";
import { Pool } from "undici";

const [port, mlNode, peer] = process.argv.slice(2);
const ml = new Pool(mlNode!, { connections: 128 });
const other = peer === undefined ? undefined : new Pool(peer, { connections: 128 });
const key = newPrivateKey();
const publicKey = publicKeyOf(key);
const headers = { "content-type": "application/json" };
let count = 0;

interface Executed {
  readonly text: string;
  readonly usage: object;
  /** Hex; the receipt's only from a peer. */
  readonly receipt?: string;
  readonly response: string;
}

const sign = (bytes: Uint8Array): string => Buffer.from(signDigest(sha256(bytes), key)).toString("hex");
/** By this process's key though another has signed: a check costs the same, whatever it finds. */
const verify = (bytes: Uint8Array, signature: string): boolean =>
  verifySignature(sha256(bytes), Buffer.from(signature, "hex"), publicKey);

async function execute(request: Record<string, unknown>): Promise<Executed> {
  const body = JSON.stringify({ ...request, stream: false, inference_id: "00".repeat(32) });
  const reply = await ml.request({ method: "POST", path: "/karat/v1/generate", headers, body });
  const lines = (await reply.body.text()).trim().split("\n");
  const values = lines.map((line) => JSON.parse(line) as { text: string; usage: object });
  const { text, usage } = values.at(-1)!;
  return { text, usage, response: sign(Buffer.from(text)) };
}

async function crossing(body: Buffer, authorization: string): Promise<Executed> {
  const path = `/execute?${authorization}`;
  const reply = await other!.request({ method: "POST", path, headers, body });
  const executed = (await reply.body.json()) as Executed;
  verify(body, executed.receipt!);
  verify(Buffer.from(executed.text), executed.response);
  return executed;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request, 1_000_000);
  const asked = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  const [path, authorization] = request.url!.split("?");
  let answer: object;
  if (path === "/execute") {
    verify(body, authorization!);
    answer = { receipt: sign(body), ...(await execute(asked)) };
  } else {
    const authorized = sign(body);
    const { text, usage, ...signed } =
      other && count++ % 2 === 1 ? await crossing(body, authorized) : await execute(asked);
    const choices = [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }];
    answer = { object: "chat.completion", choices, usage, ...signed, delivery: sign(Buffer.from(text)) };
  }
  const text = JSON.stringify(answer);
  response.writeHead(200, { ...headers, "content-length": Buffer.byteLength(text) }).end(text);
}

const server = createServer((request, response) => void serve(request, response));
server.keepAliveTimeout = 65_000;
server.listen(Number(port), "127.0.0.1");
await once(server, "listening");
process.stdout.write("listening\n");
