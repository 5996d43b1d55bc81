import type { IncomingMessage, ServerResponse } from "node:http";
import { KaratError } from "@karat/common";
import { readBody } from "@karat/common/http";
import type { LocalExecutor } from "../executor/localExecutor.ts";
import { isLastLine } from "../executor/protocol.ts";
import { clientSignal, sendError, write } from "../transferAgent/httpAnswer.ts";
import type { PeerAuthentication } from "./authentication.ts";
import type { KeptConnections } from "./keptConnections.ts";
import { EXECUTE_PATH } from "./remoteExecutor.ts";
import { decodeExecuteRequest, encodeExecuteLine } from "./wire.ts";

/** Request, authorization and skips as base64 in JSON: somewhat more than a client's largest request. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** `POST /karat/v1/execute` of a peer: a receipt, then the answer as it is made. */
export function executeRoute(
  authentication: PeerAuthentication,
  executor: LocalExecutor,
  connections: KeptConnections,
) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const signal = clientSignal(response);
    const { socket } = request;
    connections.used(socket);
    const taken = (): Promise<boolean> => connections.kept(socket);
    try {
      const body = await readBody(request, MAX_BODY_BYTES);
      const { headers } = request;
      const sender = authentication.sender({ headers, method: "POST", path: request.url ?? EXECUTE_PATH, body });
      const asked = decodeExecuteRequest(parseJson(body));
      for await (const lines of executor.executeFor(sender, asked, signal, taken)) {
        if (!response.headersSent) {
          response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
        }
        const text = lines.map(encodeExecuteLine).join("");
        // With its last line the answer is over: the end of the reply goes in the same piece.
        if (isLastLine(lines.at(-1))) response.end(text);
        else await write(response, text, signal);
        if (signal.aborted) break;
      }
      if (!response.writableEnded) response.end();
    } catch (error) {
      if (signal.aborted) return;
      if (response.headersSent) response.destroy();
      else sendError(response, error);
    }
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new KaratError("invalid_json", "The body is not valid JSON.");
  }
}
