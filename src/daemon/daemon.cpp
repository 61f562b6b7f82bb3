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
#include "report/prometheus_text.hpp"
#include "report/stats_json.hpp"

namespace kvcache::daemon {

namespace {

// The interval at which the main thread publishes logs.
constexpr std::chrono::milliseconds between_books{250};

memory_reading lowest_limit(const memory_report& report) {
  return *std::min_element(report.levels.begin(), report.levels.end(),
                           [](const memory_reading& a, const memory_reading& b) {
                             return a.limit_bytes < b.limit_bytes;
                           });
}

std::unique_ptr<config::access_lines> make_access_log(const config::options& settings) {
  if (!settings.access_log) return nullptr;
  return std::make_unique<config::access_lines>(settings.format);
}

// "127.0.0.1:7171", "[::1]:7171"
std::string address_text(const std::string& address, std::uint16_t port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::unique_ptr<http::server> make_server(const http::server_options& options,
                                          const http::endpoint_table& endpoints, cache& store,
                                          const coarse_clock& clock, http::server_services services,
                                          observe::registry& counters) {
  try {
    return std::make_unique<http::server>(options, endpoints, store, clock, std::move(services),
                                          counters);
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::system::errc::resource_unavailable_try_again)
      throw; // a thread, since listening does not fail so
    throw std::runtime_error{explain_listen_failure(
        address_text(options.bind_address, options.port), error.code().value())};
  }
}

} // namespace

memory_reading find_memory_limit(const config::options& settings) {
  memory_monitor monitor{managed_cache::monitor_options(settings.cache)};
  return lowest_limit(monitor.read(0));
}

daemon::daemon(const config::options& settings, config::signal_waiter& signals,
               config::logging& log, std::string_view revision)
    : settings_(settings),
      revision_(revision),
      signals_(signals),
      log_(log),
      counters_(settings.server.threads, endpoints_.operations()),
      cache_(settings.cache, make_hooks()),
      limit_(lowest_limit(cache_.monitor().read(0))),
      token_reader_(make_token_reader()),
      tokens_(make_authorizer()),
      access_(make_access_log(settings)),
      server_(make_server(make_server_options(settings, limit_.limit_bytes), endpoints_,
                          cache_.entries(), cache_.clock(), make_services(), counters_)) {
  refuse_a_limit_that_leaves_no_room();
  if (const auto beyond = find_values_beyond_memory(settings, limit_)) log_.warn(*beyond);
  cache_.start();
}

daemon::~daemon() {
  server_->stop();
  server_->wait();
  cache_.stop(); // no PUT runs any more, and the hooks need the server
}

// On the eviction thread, after each reading.
void daemon::set_caps() noexcept {
  server_->set_caps(make_load_caps(
      settings_, cache_.monitor().last().levels,
      {.connections = server_->connection_count(), .buffer_bytes = server_->buffer_bytes()}));
}

void daemon::refuse_a_limit_that_leaves_no_room() {
  const auto fault =
      find_limit_too_small(cache_.monitor().read(0).levels, process_.look().resident_bytes,
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
  services.eviction = {.wanted = &cache_.wants_help(),
                       .take_part = [this](std::size_t steps) { cache_.help(steps); }};
  return services;
}

// Once it has logged that it listens, only a signal may stop it: what fails for lack of memory is
// skipped, and logged by messages that need no memory.
void daemon::run() {
  server_->start([this] {
    ended_ = true;
    signals_.wake();
  });
  log_started();
  while (!ended_) {
    switch (signals_.wait(between_books)) {
    case config::signal_waiter::event::stop:
      on_stop_signal();
      break;
    case config::signal_waiter::event::reload:
      reload_tokens();
      break;
    case config::signal_waiter::event::woken: // by the end of the server or of a token file's read
    case config::signal_waiter::event::nothing:
      break;
    }
    apply_reloaded_tokens();
    publish_logs();
  }
  server_->wait();
  log_stopped();
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

// With counts that clients can compare with their own.
void daemon::log_stopped() noexcept {
  const observe::counters_snapshot counted = counters_.totals();
  try {
    log_.info("stopped, having answered " + std::to_string(counted.gets()) + " GETs and " +
              std::to_string(counted.puts()) + " PUTs");
  } catch (const std::bad_alloc&) {
    log_.info("stopped");
  }
}

void daemon::publish_logs() noexcept {
  counters_.tick(uptime());
  try {
    log_changes();
  } catch (const std::bad_alloc&) { // next time
  }
}

// A watch's state advances only if all its lines could be built.
void daemon::log_changes() {
  const auto now = clock::now();
  tier_watch tiers = tiers_;
  const auto of_tiers = tiers.look(cache_.status(), now);
  tiers_ = tiers;
  for (const std::string& line : of_tiers) log_.info(line);

  fault_watch faults = faults_;
  const auto of_faults =
      faults.look(counters_.totals(), access_ ? access_->dropped_lines() : 0, now);
  faults_ = faults;
  for (const std::string& line : of_faults) log_.warn(line);
}

void daemon::on_stop_signal() noexcept {
  if (server_->draining()) {
    log_.warn("told to stop again: ending at once");
    server_->stop();
    return;
  }
  log_.info("stopping: answering what has been received");
  faults_.stopping();
  server_->begin_drain();
}

std::unique_ptr<token_reader> daemon::make_token_reader() {
  if (settings_.auth_token_file.empty()) return nullptr;
  return std::make_unique<token_reader>(settings_.auth_token_file, [this] { signals_.wake(); });
}

// Waits for the file without a bound, but returns on a stop signal.
std::unique_ptr<http::token_authorizer> daemon::make_authorizer() {
  if (!token_reader_) return nullptr;
  token_reader_->begin();
  std::optional<token_reader::result> read;
  while (!(read = token_reader_->take()))
    if (signals_.wait(between_books) == config::signal_waiter::event::stop) throw stopped_early{};
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
  if (!token_reader_) {
    log_.info("SIGHUP: there is no --auth-token-file to read again");
    return;
  }
  try {
    if (!token_reader_->begin())
      log_.warn("the token file is still being read since an earlier SIGHUP: does its file system "
                "answer?");
  } catch (const std::exception&) {
    log_.error("the tokens stay as they were: no thread or memory for reading them again");
  }
}

// Applies the result of a reload, if available.
void daemon::apply_reloaded_tokens() noexcept {
  if (!token_reader_) return;
  try {
    if (auto read = token_reader_->take()) apply_tokens(*std::move(read));
  } catch (const std::bad_alloc&) {
    log_.error("the tokens stay as they were: there is no memory for reading them again");
  }
}

// Throws std::bad_alloc, and then has changed nothing.
void daemon::apply_tokens(token_reader::result read) {
  if (const auto* fault = std::get_if<config::token_file_fault>(&read)) {
    log_.error("the tokens stay as they were: " + settings_.auth_token_file + ": " + fault->what);
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
  observe::service_snapshot shown;
  shown.version = config::version();
  shown.revision = revision_;
  shown.state = server_->draining() ? service_state::draining : service_state::ready;
  shown.configuration = config::settings_json(in_force);
  shown.max_connections = in_force.server.max_connections;
  shown.options = settings_.cache;
  shown.process = process_.look();
  shown.store = cache_.entries().stats();
  shown.hold_limit_bytes = cache_.entries().hold_limit_bytes();
  shown.buffer_bytes = server_->buffer_bytes();
  shown.eviction = cache_.status();
  shown.evictor_runs = cache_.runs();
  shown.log_lines_dropped = log_.dropped_lines() + (access_ ? access_->dropped_lines() : 0);
  shown.counters = counters_.report(uptime());
  return shown;
}

} // namespace kvcache::daemon
