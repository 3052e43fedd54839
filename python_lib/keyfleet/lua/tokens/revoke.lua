#!lua flags=allow-oom
-- End the family of a token, or all tokens of the user. ARGV[1]: digest, or an empty text. Returns how many could still be used.
-- include tokens/family
if ARGV[1] ~= '' then
  local record = find(ARGV[1])
  return record and drop_family(value(record, 'family')) or 0
end
local usable = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], '(' .. now, '+inf', 'BYSCORE')) do
  local record = find(digest)
  if record and not value(record, 'used') then usable = usable + 1 end
end
redis.call('UNLINK', KEYS[1], KEYS[2])
return usable
