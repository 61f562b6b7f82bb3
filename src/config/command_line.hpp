// Parses arguments and environment into validated options: a flag takes precedence over a variable,
// a variable over the default. Reads nothing but its arguments.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.hpp"

namespace kvcache::config {

using environment = std::map<std::string, std::string, std::less<>>;

// The KVCACHE_… variables of the process. `variables` ends with a null, as environ does.
environment read_environment(const char* const* variables);

enum class command : std::uint8_t {
  serve,
  check_health,
  print_config,
  print_text, // --help or --version: `text` is for standard output, exit code 0
  refuse      // invalid: `text` is for standard error, exit code 2
};

// The source of an option's value: "default", "flag --port", "environment KVCACHE_PORT".
using value_origins = std::vector<std::string>; // one for each row of option_table()

struct command_line {
  command what = command::serve;
  options settings;
  value_origins origins;
  std::string text;
  std::vector<std::string> warnings; // for the log, which escapes them
};

// `arguments` excludes the program's name.
command_line parse_command_line(const std::vector<std::string>& arguments,
                                const environment& variables);

// Replaces --bind and --port by the address of a socket that a service manager passed. Adds a
// warning if they were set to something else.
void use_passed_address(command_line& line, const std::string& address, std::uint16_t port);

// The message, in which each option that was set by its variable is named by that variable.
std::string name_origins(std::string message, const value_origins& origins);

// One line per option: "name=value # origin". `memory_limit`: the lowest limit and where it was
// read; it follows the origin of memory-limit, which alone does not determine it.
std::string describe(const options& settings, const value_origins& origins,
                     std::string_view memory_limit);

std::string_view version() noexcept; // "0.1.0"

} // namespace kvcache::config
