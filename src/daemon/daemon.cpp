#include "daemon/daemon.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "config/command_line.hpp"
#include "config/option_table.hpp"
#include "daemon/derived_limits.hpp"
#include "daemon/start_failure.hpp"
#include "daemon/token_file.hpp"
#include "memory/cpu_quota.hpp"
#include "process/worker_count.hpp"
#include "report/prometheus_text.hpp"
#include "report/stats_json.hpp"

namespace kvcache::daemon {

namespace {

// The interval at which the main thread publishes logs.
constexpr std::chrono::milliseconds publish_interval{250};

memory_reading lowest_limit(const memory_report& report) {
  return *std::ranges::min_element(report.levels, {}, &memory_reading::limit_bytes);
}

// "127.0.0.1:7171", "[::1]:7171"
std::string address_text(const std::string& address, std::uint16_t port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::unique_ptr<http::server> make_server(const http::server_options& options,
                                          const http::endpoint_table& endpoints, cache& store,
                                          const coarse_clock& clock, http::server_services services,
                                          observe::registry& counters,
                                          http::unique_fd passed_socket) {
  try {
    return std::make_unique<http::server>(options, endpoints, store, clock, std::move(services),
                                          counters, std::move(passed_socket));
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::system::errc::resource_unavailable_try_again)
      throw; // no thread could be created; listening does not fail with this error
    throw std::runtime_error{explain_listen_failure(
        address_text(options.bind_address, options.port), error.code().value())};
  }
}

config::options default_settings() {
  return resolve_automatic(
      {}, config::worker_count(config::processors_by_affinity(), read_cpu_quota("")));
}

} // namespace

memory_reading find_memory_limit(const config::options& settings) {
  memory_monitor monitor{managed_cache::monitor_options(settings.cache)};
  return lowest_limit(monitor.read(0));
}

daemon::daemon(const config::options& settings, config::signal_waiter& signals,
               config::logging& log, std::string_view revision, service_manager manager)
    : settings_(settings),
      defaults_(default_settings()),
      revision_(revision),
      signals_(signals),
      log_(log),
      notifier_(manager.notifier),
      watchdog_timeout_(manager.watchdog_timeout),
      counters_(settings.server.threads, endpoints_.operations()),
      cache_(settings.cache, make_hooks()),
      limit_(lowest_limit(cache_.monitor().read(0))),
      snapshots_(settings.snapshots, cache_, [this] { signals_.wake(); }),
      token_reader_(settings.auth_token_file.empty()
                        ? nullptr
                        : std::make_unique<token_reader>(settings.auth_token_file,
                                                         [this] { signals_.wake(); })),
      tokens_(make_authorizer()),
      access_(settings.access_log ? std::make_unique<config::access_lines>(settings.format)
                                  : nullptr),
      server_(make_server(make_server_options(settings, limit_.limit_bytes), endpoints_,
                          cache_.entries(), cache_.clock(), make_services(), counters_,
                          std::move(manager.passed_socket))) {
  reject_memory_limit_below_own_use();
  if (const auto beyond = find_values_beyond_memory(settings, limit_)) log_.warn(*beyond);
  cache_.start();
}

daemon::~daemon() {
  server_->stop();
  server_->wait();
  cache_.stop(); // after the last PUT, and before the server, which the hooks need
}

// On the eviction thread, after each reading.
void daemon::set_caps() noexcept {
  memory_readings_.fetch_add(1, std::memory_order_relaxed);
  server_->set_caps(make_load_caps(
      settings_, cache_.monitor().last().levels,
      {.connections = server_->connection_count(), .buffer_bytes = server_->buffer_bytes()}));
}

void daemon::reject_memory_limit_below_own_use() {
  const auto fault =
      find_limit_too_small(cache_.monitor().read(0).levels, process_.read().resident_bytes,
                           settings_.cache.eviction.pressure);
  if (fault) throw unworkable_option{*fault};
}

managed_cache_hooks daemon::make_hooks() {
  return {.buffer_bytes = [this] { return server_->buffer_bytes(); },
          .on_reading = [this] { set_caps(); }};
}

http::server_services daemon::make_services() {
  http::server_services services;
  services.authorization = tokens_.get();
  services.access = access_.get();
  services.stats = [this] { return observe::stats_json(snapshot()); };
  services.metrics = [this] { return observe::prometheus_text(snapshot()); };
  services.snapshots = &snapshots_;
  services.unready = [this] {
    return snapshots_.loading() ? std::to_string(snapshots_.loaded_percent()) + " %"
                                : std::string{};
  };
  services.eviction = {.wanted = &cache_.wants_help(),
                       .take_part = [this](std::size_t steps) { cache_.help(steps); }};
  return services;
}

// Once it has logged that it listens, only a signal may stop it. A step that fails for lack of
// memory is skipped and logged with a message that needs no memory.
bool daemon::run() {
  if (const auto warning = snapshots_.start_loading(server_->tags(), settings_.server.threads);
      !warning.empty())
    log_.warn(warning);
  server_->start([this] {
    server_ended_ = true;
    signals_.wake();
  });
  if (const auto warning = snapshots_.remove_loaded(); !warning.empty()) log_.warn(warning);
  start_watchdog();
  log_started();
  notifier_.ready();
  report_serving();
  while (!server_ended_) {
    switch (signals_.wait(tick_interval())) {
    case config::signal_waiter::event::stop:
      on_stop_signal();
      break;
    case config::signal_waiter::event::reload:
      reload_tokens();
      break;
    case config::signal_waiter::event::woken: // the server ended, or the token file was read
    case config::signal_waiter::event::nothing:
      break;
    }
    apply_reloaded_tokens();
    snapshots_.save_if_due(clock::now());
    notifier_.retry();
    report_serving();
    feed_watchdog();
    publish_logs();
  }
  server_->wait();
  const bool saved = save_last_snapshot();
  log_stopped();
  return saved;
}

// A second stop signal aborts it. A disk that does not respond is not waited for.
bool daemon::save_last_snapshot() noexcept {
  constexpr std::chrono::seconds grace{2};
  const auto end = clock::now() + std::chrono::milliseconds{settings_.snapshots.timeout_ms} + grace;
  if (snapshots_.configured()) notifier_.status("saving the snapshot");
  snapshots_.begin_last();
  while (!snapshots_.await_last(std::chrono::milliseconds{0})) {
    if (clock::now() >= end) {
      log_.error("snapshot: not saved, its disk does not respond");
      return false;
    }
    if (signals_.wait(publish_interval) == config::signal_waiter::event::stop) {
      log_.warn("another stop signal: aborting the snapshot");
      snapshots_.abort_last();
    }
  }
  publish_logs();
  return true;
}

void daemon::log_started() {
  const auto fewer = find_fewer_connections(settings_, limit_.limit_bytes);
  const auto endpoint = server_->local_endpoint();
  log_.info("keyvalue-cache " + std::string{config::version()} + " listening on " +
            address_text(endpoint.address().to_string(), endpoint.port()) + " with " +
            std::to_string(settings_.server.threads) +
            (settings_.server.threads == 1 ? " thread" : " threads") + ", memory limit " +
            describe_limit(limit_));
  if (fewer) log_.warn(*fewer);
}

// From READY=1 on, the service manager expects to be fed.
void daemon::start_watchdog() {
  if (!watchdog_timeout_ || !notifier_.is_enabled()) return;
  if (const auto warning = find_timeout_too_short(
          *watchdog_timeout_, std::chrono::milliseconds{settings_.cache.eviction.interval_ms}))
    log_.warn(*warning);
  progress_.resize(settings_.server.threads + 2);
  read_progress();
  watchdog_.emplace(*watchdog_timeout_, progress_, clock::now());
}

// To the service manager, whenever it changes.
void daemon::report_serving() noexcept {
  if (!notifier_.is_enabled() || server_->draining()) return;
  try {
    const auto endpoint = server_->local_endpoint();
    std::string now =
        snapshots_.loading()
            ? "loading the snapshot: " + std::to_string(snapshots_.loaded_percent()) + " %"
            : "serving on " + address_text(endpoint.address().to_string(), endpoint.port());
    if (now == reported_) return;
    notifier_.status(now);
    reported_ = std::move(now);
  } catch (const std::bad_alloc&) { // the former status stays
  }
}

// Several times within half of the watchdog's timeout.
std::chrono::milliseconds daemon::tick_interval() const noexcept {
  constexpr int ticks_per_timeout = 8;
  if (!watchdog_) return publish_interval;
  const auto tick = std::chrono::floor<std::chrono::milliseconds>(*watchdog_timeout_);
  return std::clamp(tick / ticks_per_timeout, std::chrono::milliseconds{1}, publish_interval);
}

// In the order of explain_stall().
void daemon::read_progress() noexcept {
  const std::size_t workers = settings_.server.threads;
  for (std::size_t i = 0; i < workers; ++i) progress_[i] = server_->sweeps(i);
  progress_[workers] = cache_.runs() + memory_readings_.load(std::memory_order_relaxed);
  progress_[workers + 1] = cache_.clock_runs();
}

// Not during a drain, when workers end: the service manager limits its time instead.
void daemon::feed_watchdog() noexcept {
  if (!watchdog_ || server_->draining()) return;
  read_progress();
  const auto [feed, stalled] = watchdog_->decide(progress_, clock::now());
  if (feed) notifier_.keep_alive();
  if (!stalled) return;
  try {
    log_.error(explain_stall(*stalled, settings_.server.threads, *watchdog_timeout_));
  } catch (const std::bad_alloc&) {
    log_.error("a thread makes no progress: the watchdog is not fed");
  }
}

// Clients can compare the counts with their own.
void daemon::log_stopped() noexcept {
  const observe::counters_snapshot counted = counters_.totals();
  try {
    log_.info("stopped; responded to " + std::to_string(counted.gets()) + " GETs and " +
              std::to_string(counted.puts()) + " PUTs");
  } catch (const std::bad_alloc&) {
    log_.info("stopped");
  }
}

void daemon::publish_logs() noexcept {
  counters_.tick(uptime());
  try {
    log_changes();
  } catch (const std::bad_alloc&) { // retried at the next interval
  }
}

// The state of a log advances only if all its lines could be built.
void daemon::log_changes() {
  const auto now = clock::now();
  tier_log tiers = tiers_;
  const auto of_tiers = tiers.new_lines(cache_.status(), now);
  tiers_ = tiers;
  for (const std::string& line : of_tiers) log_.info(line);

  fault_log faults = faults_;
  const auto of_faults =
      faults.new_lines(counters_.totals(), access_ ? access_->dropped_lines() : 0, now);
  faults_ = faults;
  for (const std::string& line : of_faults) log_.warn(line);

  snapshot_log snapshots = snapshot_lines_;
  const auto of_snapshots = snapshots.new_lines(snapshots_.report());
  snapshot_lines_ = snapshots;
  for (const auto& [level, text] : of_snapshots)
    level == config::log_level::warn ? log_.warn(text) : log_.info(text);
}

void daemon::on_stop_signal() noexcept {
  if (server_->draining()) {
    log_.warn("second stop signal: closing all connections immediately");
    server_->stop();
    return;
  }
  log_.info("stopping: responding to requests that have been received");
  faults_.on_stopping();
  snapshots_.on_stopping();
  notifier_.stopping();
  notifier_.status("draining");
  server_->begin_drain();
}

// Waits for the file without a bound, unless a stop signal arrives.
std::unique_ptr<http::token_authorizer> daemon::make_authorizer() {
  if (!token_reader_) return nullptr;
  token_reader_->begin();
  std::optional<token_reader::result> read;
  while (!(read = token_reader_->take()))
    if (signals_.wait(publish_interval) == config::signal_waiter::event::stop)
      throw stopped_early{};
  if (const auto* fault = std::get_if<config::token_file_fault>(&*read)) {
    const std::string option = "--auth-token-file " + settings_.auth_token_file;
    if (fault->error == EMFILE || fault->error == ENFILE) // no fault of the option
      throw std::system_error{fault->error, std::generic_category(), option};
    throw unworkable_option{option + ": " + fault->what};
  }
  const auto& file = std::get<config::token_file>(*read);
  warn_of_token_file(file);
  return std::make_unique<http::token_authorizer>(file.tokens);
}

void daemon::warn_of_token_file(const config::token_file& file) {
  if (!file.warning.empty())
    log_.warn("token file " + settings_.auth_token_file + ": " + file.warning);
}

void daemon::reload_tokens() noexcept {
  notifier_.reloading();
  if (!token_reader_) {
    log_.info("SIGHUP ignored: --auth-token-file is not set");
    notifier_.ready();
    return;
  }
  try {
    if (!token_reader_->begin())
      log_.warn("an earlier read of the token file has not finished; check that its file system "
                "responds");
  } catch (const std::exception&) {
    log_.error("tokens unchanged: no thread or memory for reading the file");
    notifier_.ready();
  }
}

// Applies the result of a reload, if available.
void daemon::apply_reloaded_tokens() noexcept {
  if (!token_reader_) return;
  auto read = token_reader_->take();
  if (!read) return;
  try {
    apply_tokens(*std::move(read));
  } catch (const std::bad_alloc&) {
    log_.error("tokens unchanged: no memory for reading the file");
  }
  notifier_.ready();
}

// Errors: throws std::bad_alloc, and has changed nothing then.
void daemon::apply_tokens(token_reader::result read) {
  if (const auto* fault = std::get_if<config::token_file_fault>(&read)) {
    log_.error("tokens unchanged: " + settings_.auth_token_file + ": " + fault->what);
    return;
  }
  const auto& file = std::get<config::token_file>(read);
  const std::string done = "tokens in force from " + settings_.auth_token_file + ": " +
                           std::to_string(file.tokens.size());
  warn_of_token_file(file);
  tokens_->set_tokens(file.tokens);
  log_.info(done);
}

observe::service_snapshot daemon::snapshot() const {
  using observe::service_state;
  config::options in_force = settings_;
  in_force.server.port = server_->local_endpoint().port();
  in_force.server.max_connections = server_->connections_most();
  observe::service_snapshot now;
  now.version = config::version();
  now.revision = revision_;
  now.state = server_->draining()    ? service_state::draining
              : snapshots_.loading() ? service_state::loading
                                     : service_state::ready;
  now.configuration = config::settings_json(in_force);
  now.changed_defaults = config::changed_defaults_json(in_force, defaults_);
  now.max_connections = in_force.server.max_connections;
  now.options = settings_.cache;
  now.process = process_.read();
  now.store = cache_.entries().stats();
  now.hold_limit_bytes = cache_.entries().hold_limit_bytes();
  now.buffer_bytes = server_->buffer_bytes();
  now.eviction = cache_.status();
  now.snapshots = snapshots_.report();
  now.evictor_runs = cache_.runs();
  now.log_lines_dropped = log_.dropped_lines() + (access_ ? access_->dropped_lines() : 0);
  now.counters = counters_.report(uptime());
  return now;
}

} // namespace kvcache::daemon
