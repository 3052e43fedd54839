#!lua flags=allow-oom
-- End all sessions, at most but one. ARGV[1]: the digest that stays, or an empty text.
-- Returns how many ended, and the digests among them that point to sessions under ids of the application.
-- include records
local kept, expires = find(ARGV[1])
local text = kept and redis.call('HGET', KEYS[1], ARGV[1])
local reply = {0}
for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], '(' .. now, '+inf', 'BYSCORE')) do
  if digest ~= ARGV[1] then
    reply[1] = reply[1] + 1
    if string.sub(digest, 1, 2) == 'f.' then reply[#reply + 1] = digest end
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2])
if kept then
  redis.call('HSET', KEYS[1], ARGV[1], text)
  redis.call('ZADD', KEYS[2], string.format('%.0f', expires), ARGV[1])
  settle()
end
return reply
