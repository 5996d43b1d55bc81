import { defineConfig } from "vitest/config";

const exclude = ["**/node_modules/**", ".localnet*/**"];

export default defineConfig({
  test: {
    pool: "forks",
    setupFiles: ["./test/setup.ts"],
    // Where a condition is awaited, a busy machine needs longer than vitest's second.
    expect: { poll: { timeout: 20_000, interval: 10 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{chain,common,api-node,ml-node,sidecar,scripts,test}/**/*.test.ts"],
          exclude: [...exclude, "test/e2e/**"],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          // The machines are small: a few workers, each test file in its own process.
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude,
          testTimeout: 900_000,
          hookTimeout: 300_000,
          // One whole network at a time.
          maxWorkers: 1,
        },
      },
    ],
  },
});
