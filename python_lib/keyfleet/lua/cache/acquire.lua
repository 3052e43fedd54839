-- Take the lease on a cache entry: the right to load its value. A key without an entry gets a placeholder that holds the lease.
-- KEYS[1]: the entry. ARGV[1]: token of the lease, 16 bytes. ARGV[2]: length of the lease in milliseconds. ARGV[3]: milliseconds for which a
-- placeholder is kept. ARGV[4]: what the caller found: the fill id, or the SHA-1 of a value that is no entry.
-- Returns {1, 0} if the caller has the lease, {2, ms left} if another one has it, {0, 0} if the entry is not what the caller found.
local NONE = '0000000000000000'
local header = redis.call('GETRANGE', KEYS[1], 0, 49)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = ARGV[1] .. string.format('%013d', now + ARGV[2])
local is_entry = #header == 50 and string.sub(header, 1, 4) == 'kfc1'
if is_entry then
  if string.sub(header, 35, 50) ~= ARGV[4] then
    return {0, 0}
  end
  local holder, left = string.sub(header, 6, 21), tonumber(string.sub(header, 22, 34)) - now
  if holder == ARGV[1] then
    return {1, 0}
  end
  if holder ~= NONE and left > 0 then
    return {2, left}
  end
  redis.call('SETRANGE', KEYS[1], 5, lease)
  if string.sub(header, 5, 5) == 'P' then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  return {1, 0}
end
if header ~= '' and redis.sha1hex(redis.call('GET', KEYS[1])) ~= ARGV[4] then
  return {0, 0}
end
redis.call('SET', KEYS[1], 'kfc1P' .. lease .. NONE, 'PX', ARGV[3])
return {1, 0}
