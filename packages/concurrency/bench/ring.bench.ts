// What it costs to move 16 bytes through shared memory, both ends in one thread, and to a worker thread and back.
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { benchmark } from "@tooling/bench";

const record = new Uint8Array(16).fill(7);

export const benchmarks = [
  benchmark("Move a record of 16 bytes", {
    ours: "spscRing",
    cases: {
      spscRing: async () => {
        const { spscRing } = await import("@proj/concurrency/ring");
        const ring = spscRing({ bytes: 4_096 });
        return () => {
          ring.tryPush(record);
          return ring.tryPop()?.length;
        };
      },
      mpmcRing: async () => {
        const { mpmcRing } = await import("@proj/concurrency/ring");
        const ring = mpmcRing({ slots: 64, slotBytes: 16 });
        return () => {
          ring.tryPush(record);
          return ring.tryPop()?.length;
        };
      },
      MessagePort: () => {
        const { port1, port2 } = new MessageChannel();
        port1.unref();
        return () => {
          port1.postMessage(record);
          return (receiveMessageOnPort(port2)?.message as Uint8Array | undefined)?.length; // what was posted
        };
      },
    },
    check: (length) => length,
  }),
];
