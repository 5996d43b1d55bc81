import { expect, test } from "vitest";
import { installedCpuVariants, withCpuVariant } from "./cpuVariant.ts";
import { createLlamaEngine } from "./llamaEngine.ts";

const modelPath = new URL("../../../../models/karat-mini-f16.gguf", import.meta.url).pathname;
const installed = await installedCpuVariants();

test("a build that is not installed is a typed error, and nothing is loaded", async () => {
  expect(installed.length).toBeGreaterThan(0);
  const load = withCpuVariant("abacus", () => Promise.reject(new Error("was loaded")));
  await expect(load).rejects.toMatchObject({ code: "unknown_cpu_variant", data: { variant: "abacus", installed } });
});

// Only 64-bit Intel and AMD have a build without any extension, which every such machine can run.
test.skipIf(!installed.includes("x64"))(
  "another build gives other bits of the same model",
  async () => {
    const engines = await Promise.all(
      [{}, { cpuVariant: "x64" }].map((options) =>
        createLlamaEngine({ modelPath, id: "mini", contextSize: 64, ...options }),
      ),
    );
    try {
      const job = { promptIds: [5, 6, 7], outputIds: [9, 10, 11], top: 5 };
      const [best, plain] = await Promise.all(engines.map((engine) => engine.score(job)));
      expect(plain).not.toEqual(best);
      const chosen = (positions: typeof best) =>
        job.outputIds.map((id, i) => positions?.[i]?.find((entry) => entry.id === id)?.logprob ?? Number.NaN);
      for (const [i, logprob] of chosen(best).entries())
        expect(Math.abs((chosen(plain)[i] ?? 0) - logprob)).toBeLessThan(0.02);
    } finally {
      await Promise.all(engines.map((engine) => engine.close()));
    }
  },
  240_000,
); // two engines start, on a machine that others may use
