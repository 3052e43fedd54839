#!lua flags=allow-oom
-- Wake the one who waits for the list KEYS[1]; nothing stays if no caller waits. ARGV[1]: milliseconds.
redis.call('RPUSH', KEYS[1], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
