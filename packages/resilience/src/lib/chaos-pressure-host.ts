// What runs in the child process that puts the machine under pressure.

/** What the child is told. */
export type PressureOrder =
  | { readonly kind: "memory"; readonly bytes: number; readonly timeout: number }
  | { readonly kind: "cpu"; readonly threads: number; readonly load: number; readonly timeout: number }
  | {
      readonly kind: "fds";
      readonly count: number;
      readonly target: PressureTarget | undefined;
      readonly timeout: number;
    };

/** A server whose connections are used up. */
export interface PressureTarget {
  readonly host: string;
  readonly port: number;
}

/** What the child tells, as a line of JSON. */
export type PressureReport = { readonly held: number } | { readonly failed: string };

/** Busy for its share of each 20 ms. */
const spin = `
const { parentPort, workerData } = require("node:worker_threads");
const cell = new Int32Array(new SharedArrayBuffer(4));
const busy = 20 * workerData;
parentPort.postMessage("busy");
for (;;) {
  const end = performance.now() + busy;
  while (performance.now() < end);
  if (busy < 20) Atomics.wait(cell, 0, 0, 20 - busy);
}`;

/**
 * Text, and no file nor function: it needs no place in what is published, and no bundler can rename what it refers to.
 * The child dies with whoever holds the other end of its standard input, however that ends, and at the latest after
 * `timeout`; by SIGKILL, which frees all and which nothing can delay.
 */
const program = `
const exit = () => process.kill(process.pid, "SIGKILL");
const report = (message) => process.stdout.write(JSON.stringify(message) + "\\n");
process.stdin.resume().on("end", exit).on("close", exit).on("error", exit);
process.stdout.on("error", exit);
setTimeout(exit, order.timeout);
const kept = (globalThis.kept = []);

if (order.kind === "memory") {
  let held = 0;
  const grow = () => {
    const size = Math.min(8 * 1024 * 1024, order.bytes - held);
    kept.push(Buffer.allocUnsafeSlow(size).fill(1)); // only a page that was written to is there
    held += size;
    if (held < order.bytes) setImmediate(grow);
    else report({ held });
  };
  grow();
} else if (order.kind === "cpu") {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  let started = 0;
  for (let i = 0; i < order.threads; i++) {
    const worker = new Worker(${JSON.stringify(spin)}, { eval: true, workerData: order.load });
    worker.once("message", () => {
      if (++started === order.threads) report({ held: started });
    });
    worker.once("error", (error) => report({ failed: error.message }));
  }
} else if (order.target === undefined) {
  const { openSync } = process.getBuiltinModule("node:fs");
  const { devNull } = process.getBuiltinModule("node:os");
  try {
    for (let i = 0; i < order.count; i++) kept.push(openSync(devNull, "r"));
  } catch {
    // As many as the system gives is as much pressure as there can be.
  }
  report({ held: kept.length });
} else {
  const { connect } = process.getBuiltinModule("node:net");
  let open = 0;
  let left = order.count;
  let isReported = false;
  const tell = () => {
    if (isReported) return;
    isReported = true;
    report({ held: open });
  };
  let patience = setTimeout(tell, 500);
  for (let i = 0; i < order.count; i++) {
    const socket = connect(order.target);
    kept.push(socket);
    let isSettled = false;
    const settle = (by) => () => {
      if (isSettled) return;
      isSettled = true;
      open += by;
      clearTimeout(patience);
      if (--left === 0) tell();
      else patience = setTimeout(tell, 500); // one that is full, or hangs, does not even refuse
    };
    socket.on("connect", settle(1)).on("error", settle(0)); // the server has no more
  }
}`;

/** The source of the child, for `node --eval`. */
export function pressureProgram(order: PressureOrder): string {
  return `const order = ${JSON.stringify(order)};\n${program}`;
}
