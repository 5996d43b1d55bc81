import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** One process's Prometheus metrics: a registry of its own, so that two nodes in one process do not mix. */
export interface Metrics {
  readonly contentType: string;
  /** The exposition text. */
  render(): Promise<string>;
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  histogram(name: string, help: string, buckets: readonly number[], labels?: readonly string[]): Histogram;
  /** `read` is called at each scrape. */
  gauge(name: string, help: string, read: () => number): Gauge;
}

/** `process` metrics (CPU, memory, event-loop lag) are included unless turned off. */
export function createMetrics(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.process !== false) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    histogram: (name, help, buckets, labels = []) =>
      new Histogram({ name, help, buckets: [...buckets], labelNames: [...labels], registers }),
    gauge: (name, help, read) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
  };
}

export type { Counter, Gauge, Histogram };
