export { registry } from "./command.ts";
export { assetListJson, chainJson, suggestChainJson } from "./documents.ts";
export type { NetworkOptions } from "./options.ts";
