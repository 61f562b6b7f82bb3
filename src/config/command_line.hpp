// From arguments and environment to options: flag over environment over default, everything
// validated, nothing read but what is passed in. Pure, but for CLI11's allocations.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.hpp"

namespace kvcache::config {

using environment = std::map<std::string, std::string, std::less<>>;

// The variables of ours (KVCACHE_…) among the process's; `variables` ends with a null, as environ
// does.
environment read_environment(const char* const* variables);

enum class command : std::uint8_t {
  serve,
  check_health,
  print_config,
  print_text, // --help or --version: `text` is for standard output, exit code 0
  refuse      // something is wrong: `text` is for standard error, exit code 2
};

// Where an option's value came from: "default", "flag --port", "environment KVCACHE_PORT".
using value_origins = std::vector<std::string>; // one for each row of option_table()

struct command_line {
  command what = command::serve;
  options settings;
  value_origins origins;
  std::string text;
  std::vector<std::string> warnings; // to be logged once logging works, which escapes them
};

// `arguments` are those after the program's name.
command_line parse_command_line(const std::vector<std::string>& arguments,
                                const environment& variables);

// The message with each option that was set by its variable named so instead of by its flag.
std::string name_origins(std::string message, const value_origins& origins);

// One line for each option: "name=value # origin". `memory_limit`: the lowest limit there is and
// where it is read, since --memory-limit alone does not tell; it goes behind the origin.
std::string describe(const options& settings, const value_origins& origins,
                     std::string_view memory_limit);

std::string_view version() noexcept; // "0.1.0"

} // namespace kvcache::config
