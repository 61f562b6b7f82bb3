#include "config/command_line.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "config/option_table.hpp"

namespace kvcache::config {
namespace {

// For each option a valid value that is not its default, and an invalid one.
struct sample {
  const char* name;
  const char* good;
  const char* bad;
};

constexpr sample samples[] = {
    {"bind", "::1", "localhost"},
    {"port", "8080", "65536"},
    {"threads", "3", "0"},
    {"max-key-chars", "1000000", "0"},
    {"max-value-chars", "1000000", "1000001"},
    {"max-value-bytes", "64M", "65M"},
    {"max-entries", "1000", "-1"},
    {"default-ttl-s", "60", "1.5"},
    {"memory-limit", "512M", "15M"},
    {"pressure-percent", "60", "0"},
    {"emergency-percent", "90", "100"},
    {"floor-percent", "10", "5%"},
    {"eviction-interval-ms", "1000", "1001"},
    {"max-head-bytes", "32768", "12"},
    {"max-head-fields", "32", "many"},
    {"max-target-bytes", "4096", "8k"},
    {"max-body-bytes", "65536", "99999999999999999999"},
    {"max-batch-ops", "10000", "10001"},
    {"max-batch-bytes", "64M", "65M"},
    {"max-batch-reply-bytes", "64K", "63K"},
    {"max-connections", "64", "0"},
    {"head-timeout-ms", "1000", "10s"},
    {"body-timeout-ms", "1000", ""},
    {"idle-timeout-ms", "1000", "0"},
    {"write-timeout-ms", "1000", "1e3"},
    {"snapshot-file", "/var/lib/keyvalue-cache/snapshot", ""},
    {"snapshot-interval-s", "3600", "1h"},
    {"snapshot-timeout-ms", "6000", "99"},
    {"snapshot-max-age-s", "86400", "-1"},
    {"enable-flush", "true", "maybe"},
    {"enable-snapshot", "true", "maybe"},
    {"no-page", "true", "none"},
    {"allowed-hosts", "cache.example,localhost", "a,,b"},
    {"auth-token-file", "/etc/keyvalue-cache/tokens", ""},
    {"drain-delay-ms", "100", " 100"},
    {"drain-timeout-ms", "5000", "0x10"},
    {"log-level", "debug", "DEBUG"},
    {"log-format", "json", "xml"},
    {"access-log", "true", "all"},
    {"access-log-sample", "100", "0"},
};

const option_row* row_of(std::string_view name) {
  for (const option_row& row : option_table()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::string shown(const command_line& line, const option_row& row) {
  return row.value.write(line.settings);
}

std::string origin(const command_line& line, const option_row& row) {
  return line.origins.at(static_cast<std::size_t>(&row - option_table().data()));
}

TEST(command_line, is_tested_with_a_sample_of_every_option) {
  EXPECT_EQ(std::size(samples), option_table().size());
  for (const sample& s : samples) EXPECT_NE(row_of(s.name), nullptr) << s.name;
}

TEST(command_line, serves_with_defaults_without_arguments) {
  const command_line line = parse_command_line({}, {});
  EXPECT_EQ(line.what, command::serve);
  for (const option_row& row : option_table()) {
    EXPECT_EQ(shown(line, row), row.value.write(options{}));
    EXPECT_EQ(origin(line, row), "default");
  }
}

TEST(command_line, accepts_every_option_as_a_flag) {
  for (const sample& s : samples) {
    const option_row& row = *row_of(s.name);
    const command_line line = parse_command_line({row.flag() + "=" + s.good}, {});
    EXPECT_EQ(line.what, command::serve) << line.text;
    EXPECT_EQ(shown(line, row), s.good);
    EXPECT_NE(shown(line, row), row.value.write(options{}))
        << s.name << ": the sample is the default";
    EXPECT_EQ(origin(line, row), "flag " + row.flag());
  }
}

TEST(command_line, accepts_every_option_from_the_environment) {
  for (const sample& s : samples) {
    const option_row& row = *row_of(s.name);
    const command_line line = parse_command_line({}, {{row.environment_variable(), s.good}});
    EXPECT_EQ(line.what, command::serve) << line.text;
    EXPECT_EQ(shown(line, row), s.good);
    EXPECT_EQ(origin(line, row), "environment " + row.environment_variable());
    EXPECT_TRUE(line.warnings.empty());
  }
}

TEST(command_line, prefers_every_flag_to_its_environment_variable) {
  for (const sample& s : samples) {
    const option_row& row = *row_of(s.name);
    const command_line line = // the variable is not read
        parse_command_line({row.flag() + "=" + s.good}, {{row.environment_variable(), s.bad}});
    EXPECT_EQ(line.what, command::serve) << line.text;
    EXPECT_EQ(shown(line, row), s.good);
  }
}

TEST(command_line, names_every_flag_with_an_invalid_value) {
  for (const sample& s : samples) {
    const option_row& row = *row_of(s.name);
    const command_line line = parse_command_line({row.flag() + "=" + s.bad}, {});
    EXPECT_EQ(line.what, command::refuse) << s.name;
    EXPECT_NE(line.text.find("keyvalue-cache: " + row.flag() + ":"), std::string::npos)
        << line.text;
  }
}

TEST(command_line, names_every_variable_with_an_invalid_value) {
  for (const sample& s : samples) {
    if (*s.bad == '\0') continue; // not set
    const option_row& row = *row_of(s.name);
    const command_line line = parse_command_line({}, {{row.environment_variable(), s.bad}});
    EXPECT_EQ(line.what, command::refuse) << s.name;
    EXPECT_NE(line.text.find(row.environment_variable() + ": '" + s.bad + "' is not valid"),
              std::string::npos)
        << line.text;
  }
}

TEST(command_line, treats_an_empty_variable_as_not_set) {
  const command_line line = parse_command_line({}, {{"KVCACHE_PORT", ""}});
  EXPECT_EQ(line.what, command::serve);
  EXPECT_EQ(line.settings.server.port, 7171);
}

// For some flags, accepting it would leave the server open by mistake.
TEST(command_line, rejects_an_empty_value_of_any_flag) {
  for (const option_row& row : option_table()) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{row.flag() + "="}, {row.flag(), ""}, {row.flag() + "=", "::1"}})
      EXPECT_EQ(parse_command_line(arguments, {}).what, command::refuse) << row.flag();
  }
}

TEST(command_line, warns_of_empty_variables_that_leave_the_server_open) {
  for (const char* name : {"auth-token-file", "allowed-hosts"}) {
    const option_row& row = *row_of(name);
    const environment empty{{row.environment_variable(), ""}};
    const command_line line = parse_command_line({}, empty);
    EXPECT_EQ(line.what, command::serve);
    ASSERT_EQ(line.warnings.size(), 1U) << name;
    EXPECT_EQ(line.warnings[0], "environment variable " + row.environment_variable() +
                                    " is empty, so " + row.flag() + " is not set");
    EXPECT_TRUE(parse_command_line({row.flag() + "=a"}, empty).warnings.empty()) << name;
  }
  EXPECT_TRUE(parse_command_line({}, {{"KVCACHE_PORT", ""}}).warnings.empty());
}

TEST(command_line, names_the_item_that_is_not_a_host) {
  struct {
    const char *list, *item;
  } const wrong[] = {{"a,localhost:7171", "localhost:7171"},
                     {"http://x,a", "http://x"},
                     {"a b", "a b"},
                     {"*", "*"},
                     {"[::1,a", "[::1"},
                     {"a, ,b", ""},
                     {"a,\x1b", "\\x1b"}};
  for (const auto& each : wrong) {
    const command_line line = parse_command_line({std::string{"--allowed-hosts="} + each.list}, {});
    EXPECT_EQ(line.what, command::refuse) << each.list;
    EXPECT_NE(line.text.find("('" + std::string{each.item} + "' is not one)"), std::string::npos)
        << line.text;
  }
}

TEST(command_line, trims_blanks_around_hosts) {
  const command_line line = parse_command_line({"--allowed-hosts", " a.example ,\t[::1]"}, {});
  EXPECT_EQ(line.settings.server.allowed_hosts, (std::vector<std::string>{"a.example", "[::1]"}));
}

TEST(command_line, accepts_a_value_as_the_next_argument_and_a_switch_without_value) {
  const command_line line =
      parse_command_line({"--port", "0", "--enable-flush", "--threads", "auto"}, {});
  EXPECT_EQ(line.what, command::serve) << line.text;
  EXPECT_EQ(line.settings.server.port, 0);
  EXPECT_TRUE(line.settings.server.enable_flush);
  EXPECT_EQ(line.settings.server.threads, 0U);
}

TEST(command_line, accepts_false_for_a_switch) {
  const command_line line =
      parse_command_line({"--enable-flush=false"}, {{"KVCACHE_ENABLE_FLUSH", "1"}});
  EXPECT_FALSE(line.settings.server.enable_flush);
}

TEST(command_line, treats_a_negative_number_as_an_invalid_value_not_as_a_flag) {
  const command_line line = parse_command_line({"--port", "-5"}, {});
  EXPECT_EQ(line.what, command::refuse);
  EXPECT_NE(line.text.find("--port: '-5' is not valid, a whole number from 0 to 65535 is expected"),
            std::string::npos)
      << line.text;
}

TEST(command_line, rejects_unknown_arguments) {
  for (const char* argument : {"--prot", "-x", "serve", "--port2=1"}) {
    const command_line line = parse_command_line({argument}, {});
    EXPECT_EQ(line.what, command::refuse);
    EXPECT_NE(line.text.find(argument), std::string::npos) << line.text;
  }
}

TEST(command_line, suggests_the_nearest_option_for_the_first_unknown_argument) {
  struct {
    std::vector<std::string> arguments;
    const char* text;
  } const wrong[] = {
      {{"--prot", "8080"}, "unknown option '--prot'; did you mean '--port'?"},
      {{"--prot=8080"}, "unknown option '--prot=8080'; did you mean '--port'?"},
      {{"--threads=1", "--helth-check"},
       "unknown option '--helth-check'; did you mean '--health-check'?"},
      {{"-port", "80"}, "unknown option '-port'; did you mean '--port'?"},
      {{"port=80"}, "unexpected argument 'port=80'; did you mean '--port'?"},
      {{"8080", "--prot"}, "unexpected argument '8080'"},
      {{"serve"}, "unexpected argument 'serve'"},
      {{"--max_value_chars", "1"},
       "unknown option '--max_value_chars'; did you mean '--max-value-chars'?"},
  };
  for (const auto& each : wrong) {
    const command_line line = parse_command_line(each.arguments, {});
    EXPECT_EQ(line.what, command::refuse) << each.text;
    EXPECT_EQ(line.text,
              "keyvalue-cache: " + std::string{each.text} + " (try 'keyvalue-cache --help')\n");
  }
}

TEST(command_line, writes_one_line_per_error) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--prot"}, {"--port"}, {"--port=x"}, {"--port="}, {"a\nb"}}) {
    const std::string text = parse_command_line(arguments, {}).text;
    EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  }
}

TEST(command_line, rejects_a_flag_without_value_and_a_repeated_flag) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--port"}, {"--port", "1", "--port", "2"}}) {
    const command_line line = parse_command_line(arguments, {});
    EXPECT_EQ(line.what, command::refuse);
    EXPECT_NE(line.text.find("--port"), std::string::npos) << line.text;
    EXPECT_EQ(line.text.find("--port: given more than once") != std::string::npos,
              arguments.size() > 1)
        << line.text;
  }
}

TEST(command_line, names_the_variable_that_causes_a_contradiction) {
  const command_line line =
      parse_command_line({"--emergency-percent=80"}, {{"KVCACHE_PRESSURE_PERCENT", "85"}});
  EXPECT_EQ(line.what, command::refuse);
  EXPECT_NE(line.text.find("KVCACHE_PRESSURE_PERCENT"), std::string::npos) << line.text;
  EXPECT_NE(line.text.find("--emergency-percent"), std::string::npos) << line.text;
  EXPECT_EQ(line.text.find("--pressure-percent"), std::string::npos) << line.text;
}

TEST(command_line, names_each_option_by_its_source_and_replaces_whole_names_only) {
  const command_line line = parse_command_line({"--bind=::"}, {{"KVCACHE_PORT", "1"}});
  EXPECT_EQ(name_origins("--port: --portal --bind --port", line.origins),
            "KVCACHE_PORT: --portal --bind KVCACHE_PORT");
}

TEST(command_line, rejects_contradictory_options) {
  const command_line line =
      parse_command_line({"--pressure-percent=96", "--emergency-percent=96"}, {});
  EXPECT_EQ(line.what, command::refuse);
  EXPECT_NE(line.text.find("--pressure-percent"), std::string::npos) << line.text;
}

TEST(command_line, escapes_untrusted_bytes_in_its_messages) {
  const command_line line = parse_command_line({"--port=\x1b[2J"}, {});
  EXPECT_NE(line.text.find("'\\x1b[2J'"), std::string::npos) << line.text;
}

TEST(command_line, warns_of_unknown_variables) {
  const command_line line = parse_command_line({}, {{"KVCACHE_PROT", "1"}});
  EXPECT_EQ(line.what, command::serve);
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_EQ(
      line.warnings[0],
      "environment variable KVCACHE_PROT is not an option; ignored; did you mean 'KVCACHE_PORT'?");
}

TEST(command_line, ignores_the_variables_of_a_kubernetes_service) {
  const command_line line =
      parse_command_line({}, {{"KVCACHE_SERVICE_HOST", "10.0.0.7"},
                              {"KVCACHE_SERVICE_PORT", "80"},
                              {"KVCACHE_PORT_7171_TCP", "tcp://10.0.0.7:7171"}});
  EXPECT_EQ(line.what, command::serve);
  EXPECT_TRUE(line.warnings.empty()) << line.warnings.front();
}

TEST(command_line, warns_of_the_port_variable_of_a_kubernetes_service_and_names_the_remedy) {
  const environment linked{{"KVCACHE_PORT", "tcp://10.0.0.7:7171"}};
  const command_line line = parse_command_line({}, linked);
  EXPECT_EQ(line.what, command::serve) << line.text;
  EXPECT_EQ(line.settings.server.port, options{}.server.port);
  EXPECT_EQ(origin(line, *row_of("port")), "default");
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find("KVCACHE_PORT"), std::string::npos) << line.warnings[0];
  EXPECT_NE(line.warnings[0].find("enableServiceLinks: false"), std::string::npos)
      << line.warnings[0];
  EXPECT_EQ(parse_command_line({"--port=80"}, linked).settings.server.port, 80);
}

TEST(command_line, does_not_escape_its_warnings) {
  const command_line line = parse_command_line({}, {{"KVCACHE_A\\\n", "1"}});
  ASSERT_EQ(line.warnings.size(), 1U);
  EXPECT_NE(line.warnings[0].find("KVCACHE_A\\\n "), std::string::npos) << line.warnings[0];
}

TEST(command_line, reads_only_variables_with_its_own_prefix) {
  const std::array<const char*, 5> all{"PATH=/bin", "KVCACHE_PORT=1=2", "KVCACHE_BROKEN",
                                       "XKVCACHE_PORT=3", nullptr};
  EXPECT_EQ(read_environment(all.data()), (environment{{"KVCACHE_PORT", "1=2"}}));
}

TEST(command_line, describes_every_flag_with_default_and_variable_in_help) {
  for (const char* flag : {"--help", "-h"}) {
    const command_line line = parse_command_line({flag}, {});
    EXPECT_EQ(line.what, command::print_text);
    for (const option_row& row : option_table()) {
      EXPECT_NE(line.text.find("  " + row.flag() + " "), std::string::npos) << row.name;
      const std::string preset = row.value.write(options{});
      EXPECT_NE(line.text.find("[default: " + (preset.empty() ? "none" : preset) +
                               "; environment: " + row.environment_variable() + "]"),
                std::string::npos)
          << row.name;
    }
  }
}

TEST(command_line, prints_its_version) {
  const command_line line = parse_command_line({"--version"}, {});
  EXPECT_EQ(line.what, command::print_text);
  EXPECT_EQ(line.text, "keyvalue-cache " + std::string{version()} + "\n");
}

TEST(command_line, prints_the_configuration_with_its_sources) {
  const command_line line = parse_command_line(
      {"--print-config", "--port=80", "--memory-limit", "1024M"}, {{"KVCACHE_THREADS", "2"}});
  EXPECT_EQ(line.what, command::print_config);
  const std::string text = describe(line.settings, line.origins, "512 MiB (host)");
  EXPECT_NE(text.find("port=80 # flag --port\n"), std::string::npos) << text;
  EXPECT_NE(text.find("memory-limit=1G # flag --memory-limit; in force: 512 MiB (host)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("threads=2 # environment KVCACHE_THREADS\n"), std::string::npos) << text;
  EXPECT_NE(text.find("bind=127.0.0.1 # default\n"), std::string::npos) << text;
}

TEST(command_line, takes_the_address_of_a_passed_socket) {
  command_line line = parse_command_line({}, {});
  use_passed_address(line, "::1", 8080);
  EXPECT_EQ(line.settings.server.bind_address, "::1");
  EXPECT_EQ(line.settings.server.port, 8080);
  EXPECT_TRUE(line.warnings.empty());
}

TEST(command_line, warns_of_each_option_that_a_passed_socket_replaces_unless_they_agree) {
  command_line line = parse_command_line({"--bind=0.0.0.0"}, {{"KVCACHE_PORT", "81"}});
  use_passed_address(line, "127.0.0.1", 80);
  const std::string reason =
      " is ignored, since the service manager passed a socket (LISTEN_FDS) at 127.0.0.1, port 80, ";
  EXPECT_EQ(line.warnings, (std::vector<std::string>{"--bind" + reason + "not 0.0.0.0",
                                                     "KVCACHE_PORT" + reason + "not 81"}));
  command_line same = parse_command_line({"--bind=127.0.0.1", "--port=80"}, {});
  use_passed_address(same, "127.0.0.1", 80);
  EXPECT_TRUE(same.warnings.empty());
}

TEST(command_line, checks_health_at_the_given_address) {
  const command_line line = parse_command_line({"--health-check", "--port=80"}, {});
  EXPECT_EQ(line.what, command::check_health);
  EXPECT_EQ(line.settings.server.port, 80);
}

} // namespace
} // namespace kvcache::config
