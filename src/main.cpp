// The program: from arguments to an exit code. 0 is good, 1 a failure at run time, 2 a wrong
// option.
#include <unistd.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "config/command_line.hpp"
#include "config/health_check.hpp"
#include "config/logging.hpp"
#include "config/process_setup.hpp"
#include "config/signal_waiter.hpp"
#include "config/worker_count.hpp"
#include "daemon/daemon.hpp"
#include "daemon/room_options.hpp"
#include "memory/cpu_quota.hpp"

namespace {

using namespace kvcache;

enum exit_code : int { good = 0, failed = 1, wrong_option = 2 };

int serve(const config::command_line& line) {
  config::signal_waiter signals; // before the first thread
  config::grow_stack_ahead();
  config::ignore_broken_pipes();
  config::refuse_huge_pages();
  config::give_large_blocks_back();
  const config::open_file_limit files = config::raise_open_file_limit();
  config::logging log{line.settings.level, line.settings.format};
  for (const std::string& warning : line.warnings) log.warn(warning);
  for (const std::string& warning : daemon::find_tight_limits(line.settings))
    log.warn(config::name_origins(warning, line.origins));
  const config::options settings = daemon::fit_to_open_files(line.settings, files.soft);
  const auto too_few_files =
      config::find_too_few_files(files, line.settings.max_connections, settings.max_connections);
  if (too_few_files) log.warn(*too_few_files);
  try {
    daemon::daemon{settings, signals, log}.run();
    return good;
  } catch (const daemon::unworkable_option& error) {
    log.error(config::name_origins(error.what(), line.origins));
    return wrong_option;
  } catch (const std::exception& error) {
    log.error(error.what());
    return failed;
  }
}

int check_health(const config::options& settings) {
  constexpr std::chrono::milliseconds time{2000};
  const config::health found = config::check_health(settings.bind_address, settings.port, time);
  if (!found.healthy) std::cerr << "not healthy: " << found.fault << '\n';
  return found.healthy ? good : failed;
}

int run(const std::vector<std::string>& arguments) {
  auto line = config::parse_command_line(arguments, config::read_environment(environ));
  line.settings = daemon::resolve_automatic(
      line.settings, config::worker_count(config::processors_by_affinity(), read_cpu_quota("")));
  switch (line.what) {
  case config::command::serve:
    return serve(line);
  case config::command::check_health:
    return check_health(line.settings);
  case config::command::print_config:
    std::cout << config::describe(line.settings, line.origins);
    return good;
  case config::command::print_text:
    std::cout << line.text;
    return good;
  case config::command::refuse:
    std::cerr << line.text;
    return wrong_option;
  }
  return failed; // not reached: all commands are above
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) { // before there was a log, or in making it
    std::cerr << "keyvalue-cache: " << error.what() << '\n';
    return failed;
  }
}
