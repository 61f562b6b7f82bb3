// What each room is told of the operator's options, and the caps that follow from the memory limit.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "eviction/evictor.hpp"
#include "kvcache/limited_cache.hpp"
#include "report/service_snapshot.hpp"
#include "server/load_caps.hpp"
#include "server/server_options.hpp"

namespace kvcache::daemon {

// The options with what "auto" comes to filled in: `threads` as given, the request limits from
// those of key and value. The memory limit stays auto, since what it comes to changes at run time.
config::options resolve_automatic(config::options settings, unsigned threads);

// The options with no more connections than can have a descriptor each, besides those over the
// limit and what the program itself opens: a server that runs out of them could not even tell its
// health. `open_files`: how many this process may have; 0: not known.
config::options fit_to_open_files(config::options settings, std::uint64_t open_files);

// What to tell the operator where a request limit that was set leaves no room for the longest key
// or value in its longest spelling: 12 bytes a character, in target and body alike. REQUIRES (for
// this and all below): settings have been through resolve_automatic().
std::vector<std::string> find_tight_limits(const config::options& settings);

limited_cache_options make_limited_cache_options(const config::options& settings);

evictor_options make_evictor_options(const config::options& settings);

// How many connections there may be at a time: as many as asked for, or as the lowest memory limit
// there is allows.
std::size_t connections_most(const config::options& settings, std::uint64_t memory_limit_bytes);

// What to tell the operator where that is fewer than asked for.
std::optional<std::string> find_fewer_connections(const config::options& settings,
                                                  std::uint64_t memory_limit_bytes);

// What to tell the operator where the longest key and value, in their longest spelling, need more
// memory than that limit ever leaves for one request: such a PUT is refused with 413.
std::optional<std::string> find_values_beyond_memory(const config::options& settings,
                                                     const memory_reading& limit);

// "512 MiB (cgroup v2 /cache)"
std::string describe_limit(const memory_reading& limit);

// What connections take at the moment.
struct load_now {
  std::size_t connections = 0;
  std::size_t buffer_bytes = 0;
};

// The caps in force until the next reading. Connections and their buffers may take a part of the
// lowest limit only, and until the next reading no more than half of what is free at any level: so
// however many peers come at once, eviction can make room as fast as they take it. Where others
// have taken everything, a few connections are served all the same.
http::load_caps make_load_caps(const config::options& settings,
                               std::span<const memory_reading> levels, const load_now& now);

// `memory_limit_bytes`: the lowest limit there is at start; see make_load_caps().
http::server_options make_server_options(const config::options& settings,
                                         std::uint64_t memory_limit_bytes);

// What /stats shows of them.
observe::configuration_facts make_configuration_facts(const config::options& settings);

} // namespace kvcache::daemon
