// HTTP/3 as a client that is not ours sees it, and as a process that ends.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCertificates, requireTool, runTool, temporaryFolder, testWithTools } from "@tooling/testing";
import { expect, test } from "vitest";
import { startHttp3 } from "./h3-pair.ts";

const gtlsclientTest = testWithTools("gtlsclient");

gtlsclientTest("gtlsclient gets a page and JSON", async () => {
  await using pair = await startHttp3((exchange) => {
    if (exchange.target === "/data.json")
      exchange.respond(200, ["content-type", "application/json"], '{"protocol":"h3"}');
    else exchange.respond(200, ["content-type", "text/html"], "<!doctype html><title>Hello</title>");
  });
  await using folder = await temporaryFolder();
  const get = async (name: string): Promise<{ readonly body: string; readonly log: string }> => {
    const { port } = pair.listener;
    const url = `https://localhost:${port}/${name}`;
    const args = ["--exit-on-all-streams-close", `--download=${folder.path}`, "127.0.0.1", String(port), url];
    const { stderr } = await runTool(requireTool("gtlsclient"), args);
    return { body: await readFile(join(folder.path, name), "utf8"), log: stderr };
  };
  const page = await get("page.html");
  expect(page.body).toBe("<!doctype html><title>Hello</title>");
  expect(page.log).toContain("[:status: 200]");
  const json = await get("data.json");
  expect(json.body).toBe('{"protocol":"h3"}');
  expect(json.log).toContain("[content-type: application/json]");
});

test("a process ends by itself after close()", async () => {
  const { keyFile, certFile } = await createCertificates();
  const source = (name: string): string => JSON.stringify(new URL(`../src/lib/${name}`, import.meta.url).href);
  const program = `
    import { readFileSync } from "node:fs";
    import { listenHttp3 } from ${source("h3-server.ts")};
    const [key, cert] = process.argv.slice(1).map((file) => readFileSync(file));
    const listener = await listenHttp3({ port: 0, host: "127.0.0.1", key, cert }, () => {});
    console.log(await listener.selfTest());
    await listener.close();
    console.log("closed");
  `;
  const args = ["--conditions=@proj/source", "--input-type=module-typescript", "--eval", program, keyFile, certFile];
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { code, stdout, stderr } = await runTool(process.execPath, args, { cwd });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "true\nclosed\n", stderr: "" });
});
