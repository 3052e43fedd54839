-- Replace a token by its successor, once. The caller makes the successor of the old token and a nonce; the server has the nonce and the
-- digest, so that those who come with the same token within the grace can make the same successor, and no one else.
-- ARGV: digest, digest of the successor, nonce, TTL in milliseconds or 0 for that of the old one, grace in milliseconds.
-- Returns `unknown`; or `reused` when the grace is over: all tokens of the family are gone then; or `rotated`, the nonce that counts, and
-- when the successor expires, and names and values of its record.
-- include tokens/family
local digest = ARGV[1]
local record, expires = find(digest)
if not record then return {'unknown'} end

local used = tonumber(value(record, 'used'))
if not used then
  local ttl = tonumber(ARGV[4]) > 0 and ARGV[4] or value(record, 'ttl')
  local successor = {}
  for n = 1, #record do successor[n] = record[n] end
  set(successor, 'ttl', ttl)
  put(ARGV[2], successor, now + tonumber(ttl))
  set(record, 'used', string.format('%.0f', now))
  set(record, 'nonce', ARGV[3])
  set(record, 'next', ARGV[2])
  put(digest, record, expires)
  settle()
elseif now - used > tonumber(ARGV[5]) and value(record, 'nonce') ~= ARGV[3] then
  return {'reused', drop_family(value(record, 'family'))}
end

local successor, ends = find(value(record, 'next'))
if not successor then return {'unknown'} end
local reply = {'rotated', value(record, 'nonce'), ends}
for n = 1, #successor do reply[#reply + 1] = successor[n] end
return reply
