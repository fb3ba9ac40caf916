// A driver in a stack: it has a frame of its own.
import type { ResilientTask } from "./call.ts";
import { type CallRecord, innerCall } from "./call-record.ts";
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
    // What is inside gets a record of its own: those outside go on using theirs.
    return this.#driver.run(call, (inner) => this.#next.run(innerCall(inner), task));
  }
}
