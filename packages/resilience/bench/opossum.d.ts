// What the benchmarks use of a package that has no types.
declare module "opossum" {
  export default class CircuitBreaker<T> {
    constructor(
      action: () => Promise<T>,
      options?: {
        readonly timeout?: number | false;
        readonly rollingCountTimeout?: number;
        readonly errorThresholdPercentage?: number;
        readonly volumeThreshold?: number;
      },
    );
    fire(): Promise<T>;
    open(): void;
    shutdown(): void;
  }
}
