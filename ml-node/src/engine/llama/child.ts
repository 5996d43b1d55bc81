/** Entry point of the engine's child process: obeys the messages of `messages.ts` until told to close or orphaned. */
import { messageOf } from "@karat/common";
import { isRuleError } from "@karat/rules";
import { packPositions, type Reply, type Request } from "./messages.ts";
import { loadRuntime, type Runtime } from "./runtime.ts";

let runtime: Runtime | undefined;
const running = new Map<number, AbortController>();

const reply = (message: Reply): void => {
  if (process.connected) process.send?.(message);
};

process.on("disconnect", () => process.exit(0));
// The parent decides when to stop; a Ctrl-C in the terminal reaches the whole process group.
process.on("SIGINT", () => {});
process.on("message", (request: Request) => {
  void handle(request);
});

async function handle(request: Request): Promise<void> {
  switch (request.type) {
    case "load":
      try {
        runtime = await loadRuntime(request.options);
        const { contextSize, stopTokenIds, build, embeddingDimensions } = runtime;
        const embeds = embeddingDimensions === undefined ? {} : { embeddingDimensions };
        reply({ type: "ready", contextSize, stopTokenIds, build, ...embeds });
      } catch (error) {
        reply({ type: "load_failed", message: messageOf(error) });
      }
      return;
    case "cancel":
      running.get(request.job)?.abort();
      return;
    case "close":
      for (const controller of running.values()) controller.abort();
      await runtime?.close();
      process.exit(0);
      return;
    default:
      await runJob(request);
  }
}

async function runJob(request: Exclude<Request, { type: "load" | "cancel" | "close" }>): Promise<void> {
  const { job } = request;
  const controller = new AbortController();
  running.set(job, controller);
  try {
    if (!runtime) throw new Error("no model is loaded");
    switch (request.type) {
      case "render":
        reply({ type: "ids", job, ids: runtime.render(request.input) });
        break;
      case "generate":
        for await (const token of runtime.generate(request, controller.signal)) reply({ type: "token", job, token });
        break;
      case "score": {
        const positions = await runtime.score(request, controller.signal);
        if (!controller.signal.aborted) reply({ type: "positions", job, positions: packPositions(positions) });
        break;
      }
      case "embed": {
        const vectors = await runtime.embed(request, controller.signal);
        if (!controller.signal.aborted) reply({ type: "vectors", job, vectors });
        break;
      }
    }
  } catch (error) {
    // A rule refuses a constraint that this vocabulary cannot spell; everything else is the engine's own failure.
    const code = isRuleError(error, "invalid_request") ? "unsupported_constraint" : "engine_failed";
    reply({ type: "error", job, code, message: messageOf(error) });
  } finally {
    running.delete(job);
    reply({ type: "done", job });
  }
}
