import { commitStoreConformance } from "./conformance.ts";
import { MemoryCommitStore } from "./memory.ts";

commitStoreConformance("MemoryCommitStore", (options) => new MemoryCommitStore(options));
