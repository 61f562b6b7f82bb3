// The list of options. Flags, environment variables, --help, --print-config and the configuration
// in /stats derive from it, and a test compares it with src/config/README.md. An option is one row
// here and one member of the options of the layer that uses it.
#pragma once

#include <nlohmann/json.hpp>

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
  std::string (*write)(const options&);        // text that `read` parses to the same value
  nlohmann::json (*show)(const options&) = {}; // for statistics; null: not shown
};

struct option_row {
  std::string_view name;       // "max-entries": the flag is --max-entries
  std::string_view group;      // heading in --help
  std::string_view value_name; // "<ms>"; empty for a switch, which needs no value
  std::string_view help;       // one sentence without full stop, unit included
  option_value value;
  std::string_view stats_name = {}; // of the member of /stats, if it is not `name` itself
  bool protects = false;            // restricts access if set: an empty variable causes a warning

  bool is_switch() const noexcept { return value_name.empty(); }
  std::string flag() const;                 // "--max-entries"
  std::string environment_variable() const; // "KVCACHE_MAX_ENTRIES"
  std::string stats_member() const;         // "max_entries"
};

std::span<const option_row> option_table() noexcept;

// The options that /stats shows, in the order of the table.
nlohmann::ordered_json settings_json(const options& settings);

// The defaults of those that differ from them. `defaults`: with "auto" resolved as in `settings`.
nlohmann::ordered_json changed_defaults_json(const options& settings, const options& defaults);

// A contradiction between options, if any. The message names them.
std::optional<std::string> find_contradiction(const options& settings);

} // namespace kvcache::config
