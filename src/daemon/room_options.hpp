// What each room is told of the operator's options, and the caps that follow from the memory limit.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "config/options.hpp"
#include "eviction/evictor.hpp"
#include "http/server_options.hpp"
#include "kvcache/cache_options.hpp"
#include "memory/memory_monitor.hpp"

namespace kvcache::daemon {

// The options with what "auto" comes to filled in: `threads` as given, the request limits from
// those of key and value. The memory limit stays auto, since what it comes to changes at run time.
config::options resolve_automatic(config::options settings, unsigned threads);

// REQUIRES (for all below): settings have been through resolve_automatic().
cache_options make_cache_options(const config::options& settings);

memory_monitor_options make_monitor_options(const config::options& settings);

evictor_options make_evictor_options(const config::options& settings);

// How many connections there may be at a time: as many as asked for, or as the lowest memory limit
// there is allows.
std::size_t connections_most(const config::options& settings, std::uint64_t memory_limit_bytes);

// What to tell the operator where that is fewer than asked for.
std::optional<std::string> find_fewer_connections(const config::options& settings,
                                                  std::uint64_t memory_limit_bytes);

// `memory_limit_bytes`: the lowest limit there is. Connections and their buffers may take a part of
// it only, so that peers cannot bring the process to its limit however many they are.
http::server_options make_server_options(const config::options& settings,
                                         std::uint64_t memory_limit_bytes);

} // namespace kvcache::daemon
