-- Store a cache entry if the caller still has the lease. Whoever deleted the key since, or took the lease over, ended it.
-- KEYS[1]: the entry. ARGV[1]: token of the lease. ARGV[2]: fill id of the new entry. ARGV[3]: the new entry. ARGV[4]: its TTL in milliseconds.
-- Returns 1 if it is stored, also by an attempt whose reply was lost, else 0.
local header = redis.call('GETRANGE', KEYS[1], 0, 49)
if string.sub(header, 1, 4) ~= 'kfc1' then
  return 0
end
if string.sub(header, 35, 50) == ARGV[2] then
  return 1
end
if string.sub(header, 6, 21) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
