-- Return digest, expiry, and names and values of each session that has not expired, the latest first. Writes nothing.
-- include records
local reply = {}
local found = redis.call('ZRANGE', KEYS[2], '+inf', '(' .. now, 'BYSCORE', 'REV', 'WITHSCORES')
for n = 1, #found, 2 do
  local text = redis.call('HGET', KEYS[1], found[n])
  if text then
    local entry = shown(unpacked(text), tonumber(found[n + 1]))
    table.insert(entry, 1, found[n])
    reply[#reply + 1] = entry
  end
end
return reply
