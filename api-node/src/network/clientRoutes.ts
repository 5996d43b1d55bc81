import { decodeApiKey } from "@karat/client";
import { KaratError } from "@karat/common";
import { SSE_HEADERS, sseEvent } from "@karat/common/openai";
import { type Request, Router } from "express";
import { type ChainView, spendable } from "../chain/view.ts";
import { bearerOf } from "../transferAgent/transferAgent.ts";
import type { Notice, Notices } from "./notices.ts";

const MAX_PAGE = 200;
const MAX_STREAMS = 1_000;
const HEARTBEAT_MS = 15_000;

/** What a client reads of itself, with its API key. */
export function clientRoutes(view: ChainView, notices: Notices): Router {
  const router = Router();
  let streams = 0;

  router.get("/karat/v1/account", async (request, response) => {
    const { address } = decodeApiKey(bearerOf(request));
    const deposit = await view.deposit(address, 0n);
    const { available = 0n, locked = 0n, refunding = 0n, refundHeight = 0n } = deposit ?? {};
    response.json({
      address,
      deposit: { available, locked, refunding, refund_height: refundHeight, spendable: spendable(deposit) },
    });
  });

  router.get("/karat/v1/notices", (request, response) => {
    const { address } = decodeApiKey(bearerOf(request));
    const after = afterOf(request);
    if (request.query.stream !== "1") {
      response.json({ notices: notices.of(address, after, MAX_PAGE) });
      return;
    }
    if (streams >= MAX_STREAMS) throw new KaratError("rate_limit_exceeded", "Too many streams.", { retry_after_s: 10 });
    streams++;
    response.writeHead(200, SSE_HEADERS);
    const tell = (notice: Notice): void => {
      // A reader that does not read is cut off rather than waited for: it can read on by `after`.
      if (!response.write(`id: ${notice.id}\n${sseEvent(notice)}`)) response.destroy();
    };
    const end = notices.subscribe(address, tell);
    response.write(": karat notices\n\n");
    for (const notice of notices.of(address, after, MAX_PAGE)) response.write(`id: ${notice.id}\n${sseEvent(notice)}`);
    const heartbeat = setInterval(() => response.write(": \n\n"), HEARTBEAT_MS).unref();
    response.once("close", () => {
      clearInterval(heartbeat);
      end();
      streams--;
    });
  });

  return router;
}

function afterOf(request: Request): string {
  const after = request.query.after ?? request.headers["last-event-id"] ?? "";
  if (typeof after !== "string" || !/^[\d-]{0,32}$/.test(after)) {
    throw new KaratError("invalid_request", "after: must be the id of a notice", { param: "after" });
  }
  return after;
}
