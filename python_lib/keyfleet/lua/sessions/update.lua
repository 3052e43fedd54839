-- Change fields of a session that exists; the others stay. ARGV: digest, the version that it must have or 0, how many fields are
-- removed, their names, then names and values.
-- Returns the record as `get` does; nil if there is no session; 0 if it has another version.
-- include records
local digest, expected, removed = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local record, expires = find(digest)
if not record then return nil end
local version = tonumber(value(record, 'version'))
if expected > 0 and expected ~= version then return 0 end
for n = 4, 3 + removed do unset(record, ARGV[n]) end
for n = 4 + removed, #ARGV, 2 do set(record, ARGV[n], ARGV[n + 1]) end
set(record, 'version', string.format('%.0f', version + 1))
if value(record, 'sliding') then
  expires = touch(digest, record, tonumber(value(record, 'ttl')))
else
  set(record, 'last', string.format('%.0f', now))
  put(digest, record, expires)
  settle()
end
return shown(record, expires)
