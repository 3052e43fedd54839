#!lua flags=allow-oom
-- Read a session. ARGV: digest; `read`, `slide` to begin the TTL anew if the session is sliding, or `touch` to do so anyway; a TTL in
-- milliseconds to use instead of its own, or 0. A full server does it, too: else everyone would be logged out.
-- Returns when it expires and names and values, or nil.
-- include records
local digest, mode, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local record, expires = find(digest)
if not record then return nil end
if mode == 'touch' or (mode == 'slide' and value(record, 'sliding')) then
  if ttl > 0 then set(record, 'ttl', ARGV[3]) end
  expires = touch(digest, record, tonumber(value(record, 'ttl')))
end
return shown(record, expires)
