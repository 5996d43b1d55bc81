export { type Config, readConfig } from "./config.ts";
export { runSidecar } from "./sidecar.ts";
