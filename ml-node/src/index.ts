export { type Config, readConfig } from "./config.ts";
export type { InferenceEngine } from "./engine/engine.ts";
export { createLlamaEngine, type LlamaEngineOptions } from "./engine/llama/llamaEngine.ts";
export { type MlNode, startMlNode } from "./node.ts";
