// The one step in Redis in which a process says what it has found ill, and hears what enough of them have.
import { RedisScript } from "@proj/concurrency/redis";

/** An open circuit, and until when, by the server's clock. */
export type HintVote = readonly [name: string, until: number];

/** What a key is called in Redis: there is one circuit for calls without a key. */
export function nameOf(key: string | undefined): string {
  return key === undefined ? "-" : `=${key}`;
}

export function keyOf(name: string): string | undefined {
  return name === "-" ? undefined : name.slice(1);
}

/**
 * KEYS: the processes and the votes, both sorted by when they expire. ARGV: the process, for how long it counts, the
 * quorum, the least votes, the most votes to keep, how many names to withdraw, these, and votes in pairs. Returns the
 * server's time, the number of processes, and the names that enough of them agree on. Times in the arguments are absolute:
 * a client may send them late, from a queue.
 */
export const voteScript = new RedisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process = ARGV[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], process)
local withdrawn = tonumber(ARGV[6])
for i = 7, 6 + withdrawn do
  redis.call('ZREM', KEYS[2], process .. ARGV[i])
end
local most = tonumber(ARGV[5])
for i = 7 + withdrawn, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > now then
    local member = process .. ARGV[i]
    if redis.call('ZCARD', KEYS[2]) < most or redis.call('ZSCORE', KEYS[2], member) then
      redis.call('ZADD', KEYS[2], ARGV[i + 1], member)
    end
  end
end
for _, key in ipairs(KEYS) do
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', key, last[2]) end
end
local processes = redis.call('ZCARD', KEYS[1])
local needed = math.max(tonumber(ARGV[4]), processes * tonumber(ARGV[3]))
local reply = { tostring(now), tostring(processes) }
local votes = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local name = string.sub(member, 37)
  votes[name] = (votes[name] or 0) + 1
end
for name, count in pairs(votes) do
  if count >= needed then reply[#reply + 1] = name end
end
return reply
`);
