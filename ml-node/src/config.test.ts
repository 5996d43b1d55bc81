import { describe, expect, it } from "vitest";
import { readConfig } from "./config.ts";

describe("readConfig", () => {
  it("takes flags before environment before defaults", () => {
    const env = { KARAT_ML_PORT: "1234", KARAT_ML_NAME: "from-env", KARAT_ML_DRAIN_MS: "5" };
    const config = readConfig(["--name", "from-flag", "--model", "/m/some-model.gguf"], env);
    expect(config).toMatchObject({ name: "from-flag", port: 1234, drainMs: 5, host: "127.0.0.1", threads: 1 });
    expect(readConfig(["--model", "/m/some-model.gguf"], {}).name).toBe("some-model");
    expect(readConfig(["--model", "/m/some-model.gguf"], {})).not.toHaveProperty("profilePath");
  });

  it("finds the small model and its profile by itself", () => {
    expect(readConfig([], {}).modelPath).toMatch(/models\/karat-tiny-f16\.gguf$/);
  });

  it("refuses to listen beyond the machine without a token", () => {
    expect(() => readConfig(["--host", "0.0.0.0"], {})).toThrow(expect.objectContaining({ code: "invalid_config" }));
    expect(readConfig(["--host", "0.0.0.0", "--token", "t"], {}).host).toBe("0.0.0.0");
  });

  it("takes a server instead of its own engine, with settings that fit", () => {
    expect(readConfig([], {})).not.toHaveProperty("server");
    const hash = "ab".repeat(32);
    const args = ["--server", "http://127.0.0.1:8000/v1", "--server-key", "k", "--weights-sha256", hash];
    expect(readConfig(args, {}).server).toEqual({
      baseUrl: "http://127.0.0.1:8000/v1",
      apiKey: "k",
      weightsSha256: hash,
    });
    expect(readConfig(["--server", "http://127.0.0.1:8000", "--server-samples", "yes"], {}).server).toMatchObject({
      serverSamples: true,
    });
    for (const [bad, option] of [
      [["--server", "127.0.0.1:8000"], "server"],
      [["--server-key", "k"], "server"],
      [["--server-samples", "yes"], "server"],
      [["--server", "http://127.0.0.1:8000", "--server-samples", "perhaps"], "server-samples"],
      [["--server", "http://127.0.0.1:8000", "--weights-sha256", "AB"], "weights-sha256"],
    ] as const) {
      expect(() => readConfig(bad, {}), bad.join(" ")).toThrow(expect.objectContaining({ data: { option } }));
    }
  });

  it("cheats only on an explicit and complete flag", () => {
    expect(readConfig([], {})).not.toHaveProperty("attack");
    expect(readConfig(["--attack", "swap=/m/q4.gguf"], {}).attack).toEqual({ kind: "swap", modelPath: "/m/q4.gguf" });
    for (const value of ["swap", "swap=", "steal=/m/q4.gguf"]) {
      expect(() => readConfig(["--attack", value], {}), value).toThrow(
        expect.objectContaining({ data: { option: "attack" } }),
      );
    }
  });

  it("refuses unknown flags and numbers out of range", () => {
    for (const args of [
      ["--unknown", "1"],
      ["--port", "70000"],
      ["--port", "x"],
      ["--sequences", "0"],
    ]) {
      expect(() => readConfig(args, {}), args.join(" ")).toThrow(expect.objectContaining({ code: "invalid_config" }));
    }
  });
});
