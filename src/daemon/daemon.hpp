// The composition root: builds the objects of all layers in the order of their dependencies, runs
// them until a signal stops the service, and destroys them in reverse.
//
// Thread-safety: one thread constructs it, calls run() and destroys it: the one that owns the
// signal_waiter. In run() that thread waits for signals, and periodically publishes logs and takes
// the statistics of the last minute.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/token_authorizer.hpp"
#include "config/options.hpp"
#include "daemon/fault_log.hpp"
#include "daemon/process_monitor.hpp"
#include "daemon/snapshot_log.hpp"
#include "daemon/tier_log.hpp"
#include "daemon/token_reader.hpp"
#include "daemon/watchdog.hpp"
#include "eviction/managed_cache.hpp"
#include "kvcache/cache.hpp"
#include "kvcache/coarse_clock.hpp"
#include "metrics/registry.hpp"
#include "process/access_lines.hpp"
#include "process/logging.hpp"
#include "process/service_notifier.hpp"
#include "process/signal_waiter.hpp"
#include "report/service_snapshot.hpp"
#include "server/server.hpp"
#include "server/unique_fd.hpp"
#include "snapshot/snapshot_service.hpp"

namespace kvcache::daemon {

// An option is well-formed but does not work on this machine: exit code 2. Any other failure to
// start is exit code 1.
struct unworkable_option : std::runtime_error {
  using runtime_error::runtime_error;
};

// A stop signal arrived before the service was built, while a file system stalled: exit code 0.
struct stopped_early : std::exception {};

// The lowest memory limit in force for this process now.
memory_reading find_memory_limit(const config::options& settings);

// What connects the daemon with its service manager.
struct service_manager {
  config::service_notifier& notifier;
  std::optional<std::chrono::microseconds> watchdog_timeout; // none: no watchdog
  http::unique_fd passed_socket{-1};                         // negative: none
};

class daemon {
public:
  // Builds everything and binds the address, but serves nothing yet. `revision` identifies the
  // sources in statistics and must outlive the daemon.
  // REQUIRES: settings.threads is not "auto"; the address is that of the manager's socket, if it
  // passed one.
  // Errors: throws unworkable_option, stopped_early, or another std::exception (start_failure.hpp).
  daemon(const config::options& settings, config::signal_waiter& signals, config::logging& log,
         std::string_view revision, service_manager manager);
  ~daemon();
  daemon(const daemon&) = delete;
  daemon& operator=(const daemon&) = delete;

  // Serves. Returns when a signal has stopped it, the final response is sent and the snapshot is
  // saved. False if the snapshot's disk does not respond: then the daemon cannot be destroyed.
  // Errors: throws only before it has logged that it listens.
  bool run();

private:
  using clock = std::chrono::steady_clock;

  managed_cache_hooks make_hooks();
  http::server_services make_services();
  void reject_memory_limit_below_own_use();
  void log_started();
  bool save_last_snapshot() noexcept;
  void log_stopped() noexcept;
  void start_watchdog();
  void report_serving() noexcept;
  std::chrono::milliseconds tick_interval() const noexcept;
  void read_progress() noexcept;
  void feed_watchdog() noexcept;
  void publish_logs() noexcept;
  void log_changes();
  void set_caps() noexcept;
  void on_stop_signal() noexcept;
  std::unique_ptr<http::token_authorizer> make_authorizer();
  void warn_of_token_file(const config::token_file& file);
  void reload_tokens() noexcept;
  void apply_reloaded_tokens() noexcept;
  void apply_tokens(token_reader::result read);
  std::chrono::nanoseconds uptime() const { // suspended time included
    return std::chrono::nanoseconds{boot_time_now_ns() - started_ns_};
  }
  observe::service_snapshot snapshot() const; // from any thread

  const config::options settings_;
  const config::options defaults_; // with "auto" resolved for this machine
  const std::string_view revision_;
  config::signal_waiter& signals_;
  config::logging& log_;
  config::service_notifier& notifier_;
  const std::optional<std::chrono::microseconds> watchdog_timeout_;
  const std::uint64_t started_ns_ = boot_time_now_ns();

  const process_monitor process_;

  // In dependency order; destroyed in reverse.
  const http::endpoint_table endpoints_{http::product_endpoints};
  observe::registry counters_;
  managed_cache cache_;        // once started, its monitor belongs to the eviction thread
  const memory_reading limit_; // the lowest memory limit at start
  snapshot::snapshot_service snapshots_;
  const std::unique_ptr<token_reader> token_reader_; // null: no tokens are required
  std::unique_ptr<http::token_authorizer> tokens_;   // null: no tokens are required
  std::unique_ptr<config::access_lines> access_;     // null: no access log
  std::unique_ptr<http::server> server_;

  std::string reported_; // the last status of report_serving()
  std::atomic<std::uint64_t> memory_readings_{0};
  std::vector<std::uint64_t> progress_; // of the threads that the watchdog monitors
  std::optional<watchdog> watchdog_;    // none: no manager waits for it

  fault_log faults_;
  tier_log tiers_;
  snapshot_log snapshot_lines_;
  std::atomic<bool> server_ended_{false};
};

} // namespace kvcache::daemon
