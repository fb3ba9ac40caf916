import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort } from "./free-port.ts";

test("the port can be bound over TCP and UDP", async () => {
  const port = await freePort();
  const tcp = createServer().listen(port);
  const udp = createSocket("udp4").bind(port);
  await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
  expect(udp.address().port).toBe(port);
  tcp.close();
  udp.close();
});
