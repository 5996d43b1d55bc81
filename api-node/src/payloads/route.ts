import { KaratError } from "@karat/common";
import { Router } from "express";
import type { PeerAuthentication } from "../peers/authentication.ts";
import type { PayloadStore } from "./payloadStore.ts";
import { type CheckReader, unsealed } from "./seal.ts";

/**
 * `GET /karat/v1/payloads/{hash}` for signed peers: the canonical request by its hash, the encoded FinishRecord (output, token ids, artifact)
 * by the root of its statement. Bytes as they are, but without the artifact for whoever may not see it yet (`seal.ts`); 404 when they are not
 * kept (any more).
 */
export function payloadRoutes(store: PayloadStore, authentication: PeerAuthentication, checkOf: CheckReader): Router {
  const router = Router();
  router.get("/karat/v1/payloads/:hash", async (request, response) => {
    const { headers, method, originalUrl: path } = request;
    const sender = authentication.sender({ headers, method, path, body: new Uint8Array() });
    const { hash } = request.params;
    if (!/^[0-9a-f]{64}$/.test(hash)) {
      throw new KaratError("invalid_request", "hash: must be 32 bytes in lower-case hex", { param: "hash" });
    }
    const bytes = store.get(hash);
    if (!bytes) throw new KaratError("not_found", "There is no payload with this hash here.");
    response.type("application/octet-stream").send(Buffer.from(await unsealed(bytes, sender, checkOf)));
  });
  return router;
}
