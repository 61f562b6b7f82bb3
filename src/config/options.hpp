// All options: those of each layer, and those of the program itself. A value of 0 or an empty one
// means "auto" or "none" where option_table.cpp says so; resolve_automatic() replaces "auto".
#pragma once

#include <string>

#include "kvcache/limited_cache.hpp"
#include "process/log_format.hpp"
#include "server/server_options.hpp"
#include "snapshot/options.hpp"

namespace kvcache::config {

// The server's own defaults, except where the program has another one or derives the value.
inline http::server_options default_server_options() {
  http::server_options made;
  made.port = 7171;
  made.threads = 0;                                                               // auto
  made.limits.head_bytes = made.limits.target_bytes = made.limits.body_bytes = 0; // auto
  made.drain_timeout_ms = 0;                                                      // auto
  return made;
}

struct options {
  http::server_options server = default_server_options();
  limited_cache_options cache;
  snapshot::options snapshots;
  std::string auth_token_file; // empty: no tokens are required
  log_level level = log_level::info;
  log_format format = log_format::text;
  bool access_log = false;
};

// The option, or what "auto" is: less where a snapshot follows, so that both take less than the 10
// seconds after which Docker kills a container.
inline unsigned drain_timeout_ms(const options& settings) {
  constexpr unsigned before_snapshot_ms = 4'000;
  if (settings.server.drain_timeout_ms != 0) return settings.server.drain_timeout_ms;
  return settings.snapshots.file.empty() ? http::server_options{}.drain_timeout_ms
                                         : before_snapshot_ms;
}

} // namespace kvcache::config
