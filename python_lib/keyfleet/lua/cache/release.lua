-- Give the lease on a cache entry back without storing anything; a placeholder is deleted.
-- KEYS[1]: the entry. ARGV[1]: token of the lease.
-- Returns 1 if the caller had the lease, else 0.
local header = redis.call('GETRANGE', KEYS[1], 0, 49)
if string.sub(header, 1, 4) ~= 'kfc1' or string.sub(header, 6, 21) ~= ARGV[1] then
  return 0
end
if string.sub(header, 5, 5) == 'P' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SETRANGE', KEYS[1], 5, '00000000000000000000000000000')
end
return 1
