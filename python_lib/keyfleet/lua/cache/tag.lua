-- Return the version of a tag. A counter that does not exist, or that only invalidations have made, starts at a random number, so that no
-- version comes twice, even after the server evicted the counter.
-- KEYS[1]: the counter. ARGV[1]: the random number, 19 digits. ARGV[2]: milliseconds for which entries with this tag are kept.
local version = redis.call('GET', KEYS[1])
if not version or #version < 19 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return version
