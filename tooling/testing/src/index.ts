// Real programs for integration tests: Redis, Chromium, certificates, ports, folders and child processes.
export { type CreateCertificatesOptions, createCertificates, type TestCertificates } from "./lib/certificates.ts";
export { type Chromium, type LaunchChromiumOptions, launchChromium } from "./lib/chromium.ts";
export { type EtcdServer, startEtcd } from "./lib/etcd.ts";
export { freePort } from "./lib/free-port.ts";
export { type NetLogRequest, readNetLog } from "./lib/net-log.ts";
export { type RedisServer, type StartRedisOptions, startRedis } from "./lib/redis.ts";
export { type RunToolOptions, runTool, type ToolResult } from "./lib/run-tool.ts";
export {
  type ProcessExit,
  RunningProcess,
  type SpawnProcessOptions,
  spawnProcess,
  type WaitOptions,
} from "./lib/spawn-process.ts";
export { type TemporaryFolder, temporaryFolder } from "./lib/temporary-folder.ts";
export { testWithTools } from "./lib/test-with-tools.ts";
export { findTool, MissingToolError, requireTool, type ToolName } from "./lib/tools.ts";
