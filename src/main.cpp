// The program: from arguments to an exit code. 0 is success, 1 a failure at run time, 2 an invalid
// option.
#include <unistd.h>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "config/command_line.hpp"
#include "daemon/daemon.hpp"
#include "daemon/derived_limits.hpp"
#include "daemon/start_failure.hpp"
#include "memory/cpu_quota.hpp"
#include "process/bounded_write.hpp"
#include "process/health_check.hpp"
#include "process/log_queue.hpp"
#include "process/logging.hpp"
#include "process/passed_socket.hpp"
#include "process/process_setup.hpp"
#include "process/service_environment.hpp"
#include "process/service_notifier.hpp"
#include "process/signal_waiter.hpp"
#include "process/worker_count.hpp"
#include "revision.hpp"

namespace {

using namespace kvcache;

enum exit_code : int { success = 0, failure = 1, invalid_option = 2 };

// Writes to standard error without the log. A line without a reader is dropped, as in the log.
void print_error(std::string_view text) {
  config::write_within(config::log_queue::drain_time, STDERR_FILENO, text);
}

// Incomplete output is a failure, so that no script continues with a part of it. A reader that
// closes early (`| head`) is no failure.
int print(std::string_view text) {
  const std::error_code error = config::write_all(STDOUT_FILENO, text);
  if (!error) return success;
  if (error != std::errc::broken_pipe)
    print_error("keyvalue-cache: cannot write to standard output: " + error.message() + "\n");
  return failure;
}

int serve(config::command_line line) {
  const auto environment = config::read_service_environment(environ, getpid());
  auto passed = config::take_passed_socket(environment); // before any descriptor is opened
  if (passed.fd.get() >= 0)
    config::use_passed_address(line, passed.address.address().to_string(), passed.address.port());
  config::signal_waiter signals; // before the first thread
  config::preallocate_stack();
  config::disable_huge_pages();
  config::return_large_blocks_to_kernel();
  config::share_one_heap_if_addresses_are_limited();
  const config::open_file_limit files = config::raise_open_file_limit();
  config::logging log{line.settings.level, line.settings.format};
  if (!passed.fault.empty()) {
    log.error(passed.fault);
    return invalid_option;
  }
  for (const std::string& warning : line.warnings) log.warn(warning);
  for (const std::string& warning : environment.warnings) log.warn(warning);
  for (const std::string& warning : daemon::find_tight_limits(line.settings))
    log.warn(config::name_origins(warning, line.origins));
  const config::options settings = daemon::fit_to_open_files(line.settings, files.soft);
  const auto too_few_files = config::find_too_few_files(files, line.settings.server.max_connections,
                                                        settings.server.max_connections);
  if (too_few_files) log.warn(*too_few_files);
  config::service_notifier notifier{environment.notify_socket, log};
  try {
    auto served = std::make_unique<daemon::daemon>( // too large for a stack
        settings, signals, log, revision,
        daemon::service_manager{.notifier = notifier,
                                .watchdog_timeout = environment.watchdog_timeout,
                                .passed_socket = std::move(passed.fd)});
    if (served->run()) return success;
    served.release(); // a thread of it waits for a disk. NOLINT(bugprone-unused-return-value)
    return failure;
  } catch (const daemon::unworkable_option& error) {
    log.error(config::name_origins(error.what(), line.origins));
    return invalid_option;
  } catch (const daemon::stopped_early&) {
    log.info("stopped before it could serve");
    return success;
  } catch (const std::exception& error) {
    log.error(daemon::explain_start_failure(error, line.settings.server.threads));
    return failure;
  }
}

int check_health(const config::options& settings) {
  constexpr std::chrono::milliseconds time{2000};
  const config::health found =
      config::check_health(settings.server.bind_address, settings.server.port, time);
  if (!found.healthy) print_error("not healthy: " + found.fault + "\n");
  return found.healthy ? success : failure;
}

int run(const config::command_line& line) {
  switch (line.what) {
  case config::command::serve:
    return serve(line);
  case config::command::check_health:
    return check_health(line.settings);
  case config::command::print_config:
    return print(
        config::describe(line.settings, line.origins,
                         daemon::describe_limit(daemon::find_memory_limit(line.settings))));
  case config::command::print_text:
    return print(line.text);
  case config::command::refuse:
    print_error(line.text);
    return invalid_option;
  }
  return failure; // not reached: all commands are above
}

} // namespace

int main(int argc, char** argv) {
  config::fill_standard_descriptors();
  config::ignore_write_signals();
  config::reap_children();
  unsigned workers = 1;
  try {
    auto line =
        config::parse_command_line({argv + 1, argv + argc}, config::read_environment(environ));
    line.settings = daemon::resolve_automatic(
        line.settings, config::worker_count(config::processors_by_affinity(), read_cpu_quota("")));
    workers = line.settings.server.threads;
    return run(line);
  } catch (const std::exception& error) { // before or while the log is created
    print_error("keyvalue-cache: " + daemon::explain_start_failure(error, workers) + "\n");
    return failure;
  }
}
