// Counting on the server: a token bucket in one atomic step, by the server's own clock.
import { RedisScript } from "./redis-script.ts";

/**
 * The generic cell rate algorithm, with the debt of a key kept relative to the time of the last take: in absolute
 * microseconds a floating-point number would round the interval of fast limits. Time that runs backwards, as after a
 * failover, pays no debt and does no harm.
 *
 * Takes as many units as there are, between `need` and `want`, or none; with a `want` of 0 only tells.
 * Returns: units taken, whole units left, ms until `need` units are there, ms until the bucket is full.
 */
export const takeScript = new RedisScript(`
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local need, want = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local debt = 0
local state = redis.call('GET', KEYS[1])
if state then
  local colon = string.find(state, ':', 1, true)
  local passed = now - tonumber(string.sub(state, colon + 1))
  debt = math.max(0, tonumber(string.sub(state, 1, colon - 1)) - math.max(0, passed))
end
local left = burst - debt / interval
local taken = 0
local wait = 0
if left + 0.000001 < need then
  wait = math.max(1, math.ceil((need - left) * interval / 1000))
elseif want > 0 then
  taken = math.min(want, math.floor(left + 0.000001))
  debt = debt + taken * interval
  left = left - taken
  redis.call('SET', KEYS[1], string.format('%.6f:%.0f', debt, now), 'PX', math.ceil(debt / 1000) + 1)
end
return { taken, math.max(0, math.floor(left + 0.000001)), wait, math.ceil(debt / 1000) }
`);

export const forgetScript = new RedisScript("return { redis.call('DEL', KEYS[1]) }");
