-- Create a session. ARGV: digest, TTL in milliseconds, then names and values of its record.
-- Returns the record as `get` does, or nil if there is one with this digest.
-- include records
local digest, ttl = ARGV[1], tonumber(ARGV[2])
if find(digest) then return nil end
local record = {'created', string.format('%.0f', now), 'last', string.format('%.0f', now), 'ttl', ARGV[2], 'version', '1'}
for n = 3, #ARGV do record[#record + 1] = ARGV[n] end
put(digest, record, now + ttl)
settle()
return shown(record, now + ttl)
