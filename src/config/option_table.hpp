// The list of options. Flags, environment variables, --help and --print-config derive from it, and
// a test compares it with src/config/README.md. An option is one row here and one member of
// `options`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/options.hpp"

namespace kvcache::config {

// The prefix of every environment variable of this program.
inline constexpr std::string_view environment_prefix = "KVCACHE_";

// Reads one member of options from text and writes it back.
struct option_value {
  // Sets the member and returns nothing; or leaves it unchanged and returns a description of what
  // is accepted ("a whole number from 0 to 65535").
  std::optional<std::string> (*read)(options&, std::string_view text);
  std::string (*write)(const options&); // text that `read` parses to the same value
};

struct option_row {
  std::string_view name;       // "max-entries": the flag is --max-entries
  std::string_view group;      // heading in --help
  std::string_view value_name; // "<ms>"; empty for a switch, which needs no value
  std::string_view help;       // one sentence without full stop, unit included
  option_value value;
  bool protects = false; // restricts access if set: an empty variable causes a warning

  bool is_switch() const noexcept { return value_name.empty(); }
  std::string flag() const;                 // "--max-entries"
  std::string environment_variable() const; // "KVCACHE_MAX_ENTRIES"
};

std::span<const option_row> option_table() noexcept;

// A contradiction between options, if any. The message names them.
std::optional<std::string> find_contradiction(const options& settings);

} // namespace kvcache::config
