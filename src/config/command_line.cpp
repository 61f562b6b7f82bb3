#include "config/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "config/nearest_name.hpp"
#include "config/option_table.hpp"
#include "config/service_link.hpp"
#include "process/printable.hpp"

namespace kvcache::config {

namespace {

constexpr std::string_view program = "keyvalue-cache";

constexpr std::size_t help_width = 72;

// Breaks a sentence at spaces into lines of at most help_width characters.
std::string wrap(std::string_view sentence) {
  std::string lines;
  while (sentence.size() > help_width) {
    const auto space = sentence.rfind(' ', help_width);
    if (space == std::string_view::npos) break;
    lines.append(sentence.substr(0, space)).append("\n");
    sentence.remove_prefix(space + 1);
  }
  return lines.append(sentence);
}

std::string help_of(const option_row& row) {
  std::string help = wrap(row.help);
  const std::string preset = row.value.write(options{});
  help.append("\n[default: ").append(preset.empty() ? "none" : preset);
  help.append("; environment: ").append(row.environment_variable()).append("]");
  return help;
}

// CLI11 assigns texts to flags. The rows of the table parse the texts, so that a value is validated
// alike from a flag and from the environment.
struct flag_reader {
  CLI::App app{"An in-memory key-value cache that speaks HTTP and respects its memory limit.",
               std::string{program}};
  std::vector<std::string> texts; // one for each row
  std::vector<CLI::Option*> flags;
  bool wants_config = false;
  bool wants_health = false;

  flag_reader() : texts(option_table().size()) {
    app.set_help_flag("-h,--help", "Print this and exit");
    app.set_version_flag("--version", std::string{program} + " " + std::string{version()},
                         "Print the version and exit");
    app.add_flag("--print-config", wants_config,
                 "Print the value and the source of every option, and exit");
    app.add_flag(
        "--health-check", wants_health,
        "Request /healthz from the server at --bind and --port, and exit: 0 healthy, 1 not");
    app.allow_extras(); // CLI11 would list them in reverse
    app.get_formatter()->column_width(32);
    app.footer("A flag takes precedence over its environment variable. An empty variable counts as "
               "not set.");
    for (std::size_t i = 0; i < texts.size(); ++i)
      flags.push_back(add(option_table()[i], texts[i]));
  }

  CLI::Option* add(const option_row& row, std::string& text) {
    if (row.is_switch()) {
      return app.add_flag(row.flag(), text, help_of(row))->group(std::string{row.group});
    }
    return app.add_option(row.flag(), text, help_of(row))
        ->option_text(std::string{row.value_name})
        ->type_name("value") // "--port: 1 required value missing"
        ->group(std::string{row.group});
  }

  void parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end()); // as CLI11 requires
    app.parse(std::move(arguments));
  }
};

// CLI11's message only states how many values such a flag requires.
std::optional<std::string> find_given_twice(const flag_reader& reader) {
  for (std::size_t i = 0; i < reader.flags.size(); ++i)
    if (reader.flags[i]->count() > 1) return option_table()[i].flag() + ": given more than once";
  return std::nullopt;
}

std::string with_hint(std::string_view message) {
  const std::string name{program};
  return name + ": " + std::string{message} + " (try '" + name + " --help')\n";
}

std::string with_suggestion(std::string message, std::string_view name,
                            std::span<const std::string> candidates, std::string_view prefix) {
  const std::string_view meant = nearest_name(name, candidates, prefix);
  if (!meant.empty()) message.append("; did you mean '").append(meant).append("'?");
  return message;
}

// The message for the first argument that is neither an option nor the value of one. It suggests
// the nearest option, also if only the dashes are missing.
std::string unknown_argument(std::string_view argument) {
  std::vector<std::string> flags{"--help", "--version", "--print-config", "--health-check"};
  for (const option_row& row : option_table()) flags.push_back(row.flag());
  const bool is_option = argument.starts_with('-');
  std::string_view name = argument.substr(0, argument.find('='));
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  return with_suggestion((is_option ? "unknown option '" : "unexpected argument '") +
                             printable(argument) + "'",
                         "--" + std::string{name}, flags, "--");
}

// The message for an invalid value.
std::string wrong_value(const std::string& name, std::string_view text,
                        const std::string& expected) {
  return name + ": '" + printable(text) + "' is not valid, " + expected + " is expected";
}

// CLI11 treats "--enable-flush=" as "--enable-flush", and the argument after "--bind=" as the
// address. Such arguments come from scripts with an empty variable, so they are rejected.
std::optional<std::string> find_empty_flag(const std::vector<std::string>& arguments) {
  for (const option_row& row : option_table()) {
    if (std::find(arguments.begin(), arguments.end(), row.flag() + "=") == arguments.end())
      continue;
    options ignored;
    if (const auto expected = row.value.read(ignored, ""))
      return wrong_value(row.flag(), "", *expected);
  }
  return std::nullopt;
}

constexpr std::string_view origin_is_default = "default";
constexpr std::string_view origin_is_environment = "environment ";

// Reads one option's value from the flag, else from the environment. Returns the error, if any.
std::optional<std::string> read_option(const option_row& row, const std::string* flag_text,
                                       const environment& variables, options& settings,
                                       std::string& origin) {
  const std::string variable = row.environment_variable();
  const auto set = variables.find(variable);
  const std::string* text = flag_text;
  std::string name = row.flag();
  if (text != nullptr) {
    origin = "flag " + name;
  } else if (set != variables.end() && !set->second.empty() &&
             !is_service_link(variable, set->second)) {
    text = &set->second;
    name = variable;
    origin = std::string{origin_is_environment} + name;
  } else {
    origin = origin_is_default;
    return std::nullopt;
  }
  const auto expected = row.value.read(settings, *text);
  if (!expected) return std::nullopt;
  return wrong_value(name, *text, *expected);
}

// An empty variable without a flag: the operator may believe that the protection is on.
std::vector<std::string> empty_protections(const environment& variables,
                                           const value_origins& origins) {
  std::vector<std::string> warnings;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    const option_row& row = option_table()[i];
    const std::string variable = row.environment_variable();
    if (row.protects && origins[i] == origin_is_default && variables.contains(variable))
      warnings.push_back("environment variable " + variable + " is empty, so " + row.flag() +
                         " is not set");
  }
  return warnings;
}

// Variables set by Kubernetes cause no warning, unless one has the name of an option.
std::vector<std::string> unknown_variables(const environment& variables) {
  std::vector<std::string> ours;
  for (const option_row& row : option_table()) ours.push_back(row.environment_variable());
  std::vector<std::string> warnings;
  for (const auto& [name, value] : variables) {
    const bool known = std::find(ours.begin(), ours.end(), name) != ours.end();
    const bool link = is_service_link(name, value);
    if (known && link)
      warnings.push_back(
          std::string{"environment variable "}.append(name).append(" is '").append(value).append(
              "', which Kubernetes sets for a Service of that name: ignored; "
              "set enableServiceLinks: false in the pod's specification"));
    else if (!known && !link)
      warnings.push_back(
          with_suggestion("environment variable " + name + " is not an option; ignored", name, ours,
                          environment_prefix));
  }
  return warnings;
}

} // namespace

environment read_environment(const char* const* variables) {
  environment ours;
  for (; *variables != nullptr; ++variables) {
    const std::string_view variable{*variables};
    const auto equals = variable.find('=');
    if (!variable.starts_with(environment_prefix) || equals == std::string_view::npos) continue;
    ours.emplace(variable.substr(0, equals), variable.substr(equals + 1));
  }
  return ours;
}

command_line parse_command_line(const std::vector<std::string>& arguments,
                                const environment& variables) {
  const auto end_with = [](command what, std::string text) {
    command_line ended;
    ended.what = what;
    ended.text = std::move(text);
    return ended;
  };
  const auto refuse = [&](std::string_view message) {
    return end_with(command::refuse, with_hint(message));
  };
  if (const auto fault = find_empty_flag(arguments)) return refuse(*fault);
  flag_reader reader;
  try {
    reader.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return end_with(command::print_text, reader.app.help());
  } catch (const CLI::CallForVersion& call) {
    return end_with(command::print_text, std::string{call.what()} + "\n");
  } catch (const CLI::ParseError& error) {
    const auto twice = find_given_twice(reader);
    return refuse(twice ? *twice : printable(error.what()));
  }
  if (const auto extras = reader.app.remaining(); !extras.empty())
    return refuse(unknown_argument(extras.front()));

  command_line result;
  result.origins.resize(option_table().size());
  for (std::size_t i = 0; i < option_table().size(); ++i) {
    const std::string* flag_text = reader.flags[i]->count() > 0 ? &reader.texts[i] : nullptr;
    if (const auto fault = read_option(option_table()[i], flag_text, variables, result.settings,
                                       result.origins[i]))
      return refuse(*fault);
  }
  if (const auto fault = find_contradiction(result.settings))
    return refuse(name_origins(*fault, result.origins));
  result.warnings = unknown_variables(variables);
  for (std::string& warning : empty_protections(variables, result.origins))
    result.warnings.push_back(std::move(warning));
  if (reader.wants_config)
    result.what = command::print_config;
  else if (reader.wants_health)
    result.what = command::check_health;
  return result;
}

void use_passed_address(command_line& line, const std::string& address, std::uint16_t port) {
  const options given = line.settings;
  line.settings.server.bind_address = address;
  line.settings.server.port = port;
  const std::string socket = "the service manager passed a socket (LISTEN_FDS) at " + address +
                             ", port " + std::to_string(port);
  for (std::size_t i = 0; i < line.origins.size(); ++i) {
    const option_row& row = option_table()[i];
    const std::string value = row.value.write(given);
    if (line.origins[i] == origin_is_default || value == row.value.write(line.settings)) continue;
    std::string warning = row.flag();
    warning.append(" is ignored, since ").append(socket).append(", not ").append(value);
    line.warnings.push_back(name_origins(std::move(warning), line.origins));
  }
}

std::string name_origins(std::string message, const value_origins& origins) {
  const auto continues = [](char c) { return c == '-' || (c >= 'a' && c <= 'z'); };
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (!origins[i].starts_with(origin_is_environment)) continue;
    const std::string flag = option_table()[i].flag();
    const std::string variable = option_table()[i].environment_variable();
    for (std::size_t at = 0; (at = message.find(flag, at)) != std::string::npos;) {
      const std::size_t end = at + flag.size();
      const bool whole = end == message.size() || !continues(message[end]);
      if (whole) message.replace(at, flag.size(), variable);
      at += whole ? variable.size() : flag.size();
    }
  }
  return message;
}

std::string describe(const options& settings, const value_origins& origins,
                     std::string_view memory_limit) {
  std::string text;
  for (std::size_t i = 0; i < option_table().size(); ++i) {
    const option_row& row = option_table()[i];
    text.append(row.name).append("=").append(row.value.write(settings));
    text.append(" # ").append(origins[i]);
    if (row.name == "memory-limit") text.append("; in force: ").append(memory_limit);
    text.append("\n");
  }
  return text;
}

std::string_view version() noexcept { return KVCACHE_VERSION; }

} // namespace kvcache::config
