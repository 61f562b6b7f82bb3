-- What wrk sends: one request again and again, `depth` at a time, for one key or for many. Of many keys
-- each thread has its share, in shuffled order, and goes round: none comes twice before all came once. At
-- the end it prints one line of JSON with what wrk measured and with the processor time it used meanwhile.
local ffi = require("ffi")
ffi.cdef("int usleep(unsigned microseconds);")

local counted_digits = 8 -- of a key, at its end: they tell one key from another
local poll_microseconds = 200

-- Of the Lua state that setup() and done() run in, which ends with wrk; each thread has one of its own.
local threads = {}
local ready = ffi.new("int[1]") -- threads that have made all they need

function setup(thread)
   thread:set("thread_number", #threads)
   thread:set("ready_address", tonumber(ffi.cast("intptr_t", ready)))
   threads[#threads + 1] = thread
end

-- Global, since done() fetches it from a thread.
local function read_options(args)
   options = {}
   for _, argument in ipairs(args) do
      local name, value = argument:match("^(%w+)=(.*)$")
      if name then
         options[name] = value
      end
   end
end

-- This thread's part of the keys, one in `threads_together`, shuffled: the last digits of each.
local function shuffled_share(keys, threads_together)
   local count = math.ceil((keys - thread_number) / threads_together)
   local share = ffi.new("uint64_t[?]", count)
   for i = 0, count - 1 do
      ffi.copy(share + i, string.format("%08d", i * threads_together + thread_number), counted_digits)
   end
   math.randomseed(thread_number + 1)
   for i = count - 1, 1, -1 do
      local j = math.random(0, i)
      share[i], share[j] = share[j], share[i]
   end
   return share, count
end

-- Returns a function that gives each request in `text` the next key, in place. Lua means strings to be
-- constant, but wrk copies this one each time and nobody else has it; a string for each request would cost
-- minutes, for LuaJIT hashes a few bytes of each, and those of requests are all alike.
local function key_writer(text, depth, share, count)
   local _, key_end = text:find(options.key, 1, true)
   local first = ffi.cast("char *", text) + key_end - counted_digits
   local request_bytes = #text / depth
   local at = 0
   return function()
      for i = 0, depth - 1 do
         ffi.copy(first + i * request_bytes, share + at, counted_digits)
         at = at + 1
         if at == count then
            at = 0
         end
      end
   end
end

function init(args)
   read_options(args)
   local depth, keys = tonumber(options.depth), tonumber(options.keys)
   local threads_together = tonumber(options.threads)
   local text = options.request:rep(depth)
   local write_keys = function() end
   if keys > 0 then
      write_keys = key_writer(text, depth, shuffled_share(keys, threads_together))
   end

   local function following()
      write_keys()
      return text
   end

   -- wrk starts each thread as soon as its init() is over. Those that are early wait here for the last, so
   -- that nothing is sent before the clocks start.
   local all_ready = ffi.cast("volatile int *", ready_address)
   local function first()
      while all_ready[0] < threads_together do
         ffi.C.usleep(poll_microseconds)
      end
      request = following
      return following()
   end

   -- wrk looks at one request of the first thread beforehand.
   request = thread_number > 0 and first or function()
      request = first
      return text
   end

   collectgarbage()
   cpu_at_start = os.clock()
   all_ready[0] = all_ready[0] + 1
end

-- wrk has "corrected" its latencies by the time it is in here: for each it adds made-up ones, one
-- expected interval apart, and takes that interval sixteen times too short when requests are pipelined.
-- With v[n] requests of n us counted after that, v[n] - v[n + interval] is what was measured. Returns a
-- function from percentages to microseconds.
local function measured(summary, latency)
   local connections = tonumber(options.connections)
   local interval = math.floor(summary.duration / math.floor(summary.requests / connections))
   local counted, values = {}, {}
   for i = 1, #latency do
      local value, count = latency(i)
      counted[value] = count
      values[i] = value
   end
   local real, total = {}, 0
   for i, value in ipairs(values) do
      real[i] = counted[value] - (value > interval and counted[value + interval] or 0)
      total = total + real[i]
   end
   return function(percent)
      local seen = 0
      for i, value in ipairs(values) do
         seen = seen + real[i]
         if seen >= total * percent / 100 then
            return value
         end
      end
      return latency.max
   end, total
end

function done(summary, latency, _)
   local cpu_seconds = os.clock() - threads[#threads]:get("cpu_at_start") -- the last was ready last
   options = threads[1]:get("options")
   local percentile, batches = measured(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      'KVBENCH {"requests": %d, "batches": %d, "seconds": %.6f, "cpu_seconds": %.6f, "p50": %d, '
         .. '"p90": %d, "p99": %d, "p99.9": %d, "p99.99": %d, "max": %d, "bad_status": %d, "broken": %d}\n',
      summary.requests, batches, summary.duration / 1e6, cpu_seconds,
      percentile(50), percentile(90), percentile(99), percentile(99.9), percentile(99.99), latency.max,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
