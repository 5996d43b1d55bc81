import { Router } from "express";

/** Why the node cannot serve now; empty when it can. */
export type Readiness = () => readonly string[];

/** `/healthz`: the process runs. `/readyz`: it can serve, or the reasons why not. */
export function healthRoutes(readiness: Readiness): Router {
  const router = Router();
  router.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  router.get("/readyz", (_request, response) => {
    const reasons = readiness();
    response
      .status(reasons.length === 0 ? 200 : 503)
      .json({ status: reasons.length === 0 ? "ready" : "not_ready", reasons });
  });
  return router;
}
