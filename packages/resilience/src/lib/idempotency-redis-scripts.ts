// What happens on the server in each step of an idempotent run. A hash for each key: owner, fence, fingerprint, outcome,
// `ends` (of the lease, in the server's milliseconds) and `ttl`; of a run that was abandoned only the fence is left.
import { RedisScript } from "@proj/concurrency/redis";

const now = `
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)
`;

/** The fence is at least the time in microseconds: it grows even when Redis has lost everything. */
export const beginScript = new RedisScript(`
local owner, fingerprint, lease, ttl, takeOver = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
${now}
local record = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'fingerprint', 'outcome', 'ends')
if record[4] then return { 'completed', record[4], record[3] } end
if record[1] == owner then
  redis.call('HSET', KEYS[1], 'ends', now + lease)
  redis.call('PEXPIRE', KEYS[1], lease + ttl)
  return { 'begun', record[2] }
end
if record[1] then
  if tonumber(record[5]) > now then return { 'running', record[1], record[3] } end
  if record[1] ~= takeOver then return { 'crashed', record[1], record[3] } end
end
local fence = string.format('%.0f', math.max((tonumber(record[2]) or 0) + 1, us))
redis.call('HSET', KEYS[1], 'owner', owner, 'fence', fence, 'fingerprint', fingerprint, 'ends', now + lease, 'ttl', ttl)
redis.call('PEXPIRE', KEYS[1], lease + ttl)
return { 'begun', fence }
`);

export const renewScript = new RedisScript(`
${now}
local record = redis.call('HMGET', KEYS[1], 'owner', 'outcome', 'ttl')
if record[1] ~= ARGV[1] or record[2] then return { 0 } end
redis.call('HSET', KEYS[1], 'ends', now + tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[2]) + tonumber(record[3]))
return { 1 }
`);

export const completeScript = new RedisScript(`
local record = redis.call('HMGET', KEYS[1], 'owner', 'outcome')
if record[1] ~= ARGV[1] then return { 0 } end
if not record[2] then
  redis.call('HSET', KEYS[1], 'outcome', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return { 1 }
`);

/** The fence stays for an hour: it grows even when the server's clock is set back. */
export const abandonScript = new RedisScript(`
local record = redis.call('HMGET', KEYS[1], 'owner', 'outcome')
if record[1] ~= ARGV[1] or record[2] then return { 0 } end
redis.call('HDEL', KEYS[1], 'owner', 'fingerprint', 'ends', 'ttl')
redis.call('PEXPIRE', KEYS[1], 3600000)
return { 1 }
`);
