export { type Config, OPTIONS, readConfig } from "./config.ts";
export { type RunningNode, startNode } from "./process.ts";
