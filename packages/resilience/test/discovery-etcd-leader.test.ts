// What a member of etcd says that is cut off from the others is not believed.
import { etcd } from "@proj/resilience/discovery";
import {
  freePort,
  type RunningProcess,
  requireTool,
  spawnProcess,
  temporaryFolder,
  testWithTools,
} from "@tooling/testing";
import { expect } from "vitest";

const test = testWithTools("etcd");

interface Member {
  readonly url: string;
  readonly process: RunningProcess;
}

async function startCluster(size: number, folder: string, stack: AsyncDisposableStack): Promise<Member[]> {
  const ports = await Promise.all(Array.from({ length: 2 * size }, () => freePort()));
  const client = (index: number): string => `http://127.0.0.1:${ports[index]}`;
  const peer = (index: number): string => `http://127.0.0.1:${ports[size + index]}`;
  const cluster = Array.from({ length: size }, (_, index) => `m${index}=${peer(index)}`).join(",");
  const members = Array.from({ length: size }, (_, index): Member => {
    const args = [`--name=m${index}`, `--data-dir=${folder}/m${index}`, `--initial-cluster=${cluster}`];
    args.push(`--listen-client-urls=${client(index)}`, `--advertise-client-urls=${client(index)}`);
    args.push(`--listen-peer-urls=${peer(index)}`, `--initial-advertise-peer-urls=${peer(index)}`);
    return { url: client(index), process: stack.use(spawnProcess(requireTool("etcd"), args)) };
  });
  await Promise.all(members.map(({ process }) => process.waitForLine(/ready to serve client requests/)));
  return members;
}

test("etcd() leaves a member that has lost the leader", async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryFolder());
  const [follower, other] = await startCluster(2, path, stack);
  const failures: string[] = [];
  const sets = etcd({
    prefix: "services/",
    url: follower?.url,
    parse: (key, value) => ({ id: key, address: value }),
    backoff: () => {
      failures.push("asked again");
      return 100;
    },
  })[Symbol.asyncIterator]();
  expect((await sets.next()).value).toEqual([]);
  await other?.process.kill();
  while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await sets.return?.();
});
