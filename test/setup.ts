/** A busy machine needs longer than the second that vitest waits for a condition. */
import { vi } from "vitest";

const waitFor = vi.waitFor;
vi.waitFor = (condition, options = { timeout: 20_000, interval: 20 }) => waitFor(condition, options);
