-- What wrk sends: one fixed request, or random keys, `depth` requests at a time. Everything is made
-- before the clock starts. At the end it prints one line of JSON with what wrk measured and with the
-- processor time wrk used while it was measuring.
local pool_batches_single, pool_batches_pipelined = 32768, 16384 -- a thread makes in advance

-- LuaJIT hashes a string by its length and a few of its bytes, and those of our requests are all alike:
-- making thousands of them would take minutes. Hosts of so many different lengths spread them.
local host_lengths = 61

local threads = {}

function setup(thread)
   thread:set("thread_number", #threads + 1)
   threads[#threads + 1] = thread
end

-- Global, since done() runs in another Lua state and fetches it from a thread's.
local function read_options(args)
   options = {}
   for _, argument in ipairs(args) do
      local name, value = argument:match("^(%w+)=(.*)$")
      if name then
         options[name] = value
      end
   end
end

local function with_key(template, key)
   return (template:gsub("{key}", key))
end

function init(args)
   read_options(args)
   local depth, keys = tonumber(options.depth), tonumber(options.keys)
   local made = 0

   local function one(number, host)
      local headers = { Host = host }
      local key = string.format("key:%016d", number)
      local body
      if options.body ~= "" then
         body = with_key(options.body, key)
         headers["Content-Type"] = "application/json"
      end
      return wrk.format(options.method, with_key(options.path, key), headers, body)
   end

   local function several(choose)
      local parts = { one(choose(), string.rep("h", 1 + made % host_lengths)) }
      for i = 2, depth do
         parts[i] = one(choose(), "localhost")
      end
      made = made + 1
      return table.concat(parts)
   end

   if keys > 0 then
      math.randomseed(thread_number)
      local pool, at = {}, 0
      for i = 1, depth > 1 and pool_batches_pipelined or pool_batches_single do
         pool[i] = several(function() return math.random(0, keys - 1) end)
      end
      request = function()
         at = at % #pool + 1
         return pool[at]
      end
   else
      local fixed = several(function() return 0 end)
      request = function() return fixed end
   end
   collectgarbage()
   cpu_at_start = os.clock()
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
   local cpu_before = 0
   for _, thread in ipairs(threads) do
      cpu_before = math.max(cpu_before, thread:get("cpu_at_start"))
   end
   local cpu_seconds = os.clock() - cpu_before
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
