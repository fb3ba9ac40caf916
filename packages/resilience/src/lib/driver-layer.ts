// A driver in a stack: it has a frame of its own.
import type { ResilientTask } from "./call.ts";
import { CallRecord, innerCall } from "./call-record.ts";
import type { Layer } from "./frame.ts";
import type { Driver } from "./policy.ts";

export class DriverLayer implements Layer {
  readonly #driver: Driver;
  readonly #next: Layer;

  constructor(driver: Driver, next: Layer) {
    this.#driver = driver;
    this.#next = next;
  }

  run<T>(call: CallRecord, task: ResilientTask<T>): Promise<T> {
    // The frame inside writes to its record. One that the driver has made is told by it how the attempt has ended; the
    // driver's own is still in use outside.
    return this.#driver.run(call, (inner) =>
      this.#next.run(inner !== call && inner instanceof CallRecord ? inner : innerCall(inner), task),
    );
  }
}
