// Endpoints in a file that something else writes.
import { watch as watchFolder } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { checkDuration } from "@proj/concurrency/options";
import type { EndpointSet } from "./balance-endpoints.ts";
import { type Discovery, discover } from "./discover.ts";
import { type DiscoverOptions, settle } from "./discover-options.ts";
import { Pause } from "./discover-pause.ts";
import { DiscoveryError } from "./discovery-error.ts";

/** What can be set on {@link file}. */
export interface FileOptions extends DiscoverOptions {
  /** Milliseconds after which it is looked at anyway: not every file system tells of changes. Above 0. Default: 5,000. */
  readonly interval?: number | undefined;
}

/**
 * Endpoints from a JSON file: an array of endpoints and addresses, or an object that has one as `endpoints`. Follows
 * the file when it is changed, replaced by a rename, or behind a symbolic link that is turned elsewhere, as in a mounted
 * Kubernetes ConfigMap. While it is missing or cannot be read, the last good content counts; write it under another name
 * and rename it, so that nobody sees the half of it.
 *
 * @throws TypeError or RangeError for options that are none
 * @example
 * ```ts
 * import { mkdtemp, rm, writeFile } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { file } from "@proj/resilience/discovery";
 *
 * const folder = await mkdtemp(join(tmpdir(), "endpoints-"));
 * const path = join(folder, "users.json");
 * await writeFile(path, JSON.stringify(["10.0.0.1:80", { id: "b", address: "10.0.0.2:80", weight: 2 }]));
 * for await (const endpoints of file(path)) {
 *   console.log(endpoints.map(({ address }) => address)); // prints: [ '10.0.0.1:80', '10.0.0.2:80' ]
 *   break;
 * }
 * await rm(folder, { recursive: true });
 * ```
 */
export function file(path: string, options: FileOptions = {}): Discovery {
  const { interval = 5_000 } = options;
  const { clock, name } = settle(`file ${path}`, options);
  checkDuration("discover", "interval", interval);
  if (interval === 0) throw new RangeError("Cannot discover: interval must be above 0 ms, got 0");
  const absolute = resolve(path);

  return discover(
    async (feed, context) => {
      const pause = new Pause(context, clock);
      using _watching = watching(dirname(absolute), () => pause.wake());
      let seen: string | undefined;
      while (!context.cancelled) {
        const stamp = await stampOf(absolute);
        if (stamp !== seen) {
          seen = stamp; // taken before the content is read: a change meanwhile is seen as one
          try {
            feed.found(parse(name, await readFile(absolute, "utf8")));
          } catch (error) {
            feed.failed(error);
          }
        }
        await pause.wait(interval);
      }
    },
    { ...options, name, clock },
  );
}

/** Changes whenever the file does; the same as long as it is missing. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return "missing";
  }
}

/** The whole folder: a rename puts another file in the place of the one that would be watched. */
function watching(folder: string, changed: () => void): Disposable {
  try {
    const watcher = watchFolder(folder, { persistent: false }, changed);
    watcher.on("error", () => watcher.close()); // it is looked at regularly, too
    return { [Symbol.dispose]: () => watcher.close() };
  } catch {
    return { [Symbol.dispose]() {} };
  }
}

function parse(name: string, text: string): EndpointSet {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new DiscoveryError(name, "it is no JSON", { cause });
  }
  const set = Array.isArray(content) ? content : (content as { readonly endpoints?: unknown } | null)?.endpoints;
  if (!Array.isArray(set)) throw new DiscoveryError(name, "it has no array of endpoints");
  return set;
}
