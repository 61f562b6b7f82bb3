#include "config/option_table.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <type_traits>
#include <utility>

#include "config/byte_size.hpp"
#include "config/host_name.hpp"
#include "eviction/evictor.hpp"
#include "eviction/pressure.hpp"
#include "http/http_limits.hpp"
#include "process/printable.hpp"

namespace kvcache::config {

namespace {

using refusal = std::optional<std::string>;

template <auto Member>
using value_of = std::remove_cvref_t<decltype(std::declval<options&>().*Member)>;

// ---- the kinds of values: each makes the option_value of one member ---------------------------

template <class Number>
std::optional<Number> parse_whole(std::string_view text, std::uint64_t low, std::uint64_t high) {
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (number < low || number > high) return std::nullopt;
  return static_cast<Number>(number);
}

std::string whole_number_from(std::uint64_t low, std::uint64_t high) {
  return "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
}

template <auto Member, std::uint64_t Low, std::uint64_t High>
constexpr option_value number{
    [](options& settings, std::string_view text) -> refusal {
      static_assert(std::in_range<value_of<Member>>(High));
      const auto value = parse_whole<value_of<Member>>(text, Low, High);
      if (!value) return whole_number_from(Low, High);
      settings.*Member = *value;
      return std::nullopt;
    },
    [](const options& settings) { return std::to_string(settings.*Member); }};

// The member's 0 is written as "auto": the program determines the value.
template <auto Member, std::uint64_t Low, std::uint64_t High>
constexpr option_value number_or_auto{
    [](options& settings, std::string_view text) -> refusal {
      static_assert(std::in_range<value_of<Member>>(High));
      const auto value =
          text == "auto" ? value_of<Member>{0} : parse_whole<value_of<Member>>(text, Low, High);
      if (!value) return "auto or " + whole_number_from(Low, High);
      settings.*Member = *value;
      return std::nullopt;
    },
    [](const options& settings) {
      return settings.*Member == 0 ? std::string{"auto"} : std::to_string(settings.*Member);
    }};

template <auto Member, std::uint64_t Low>
constexpr option_value size_or_auto{
    [](options& settings, std::string_view text) -> refusal {
      const auto value = text == "auto" ? std::uint64_t{0} : parse_byte_size(text);
      if (!value || (*value < Low && text != "auto")) {
        return "auto or a size of at least " + format_byte_size(Low) + ", such as 512M or 2G,";
      }
      settings.*Member = *value;
      return std::nullopt;
    },
    [](const options& settings) {
      return settings.*Member == 0 ? std::string{"auto"} : format_byte_size(settings.*Member);
    }};

template <class Enum>
using choice = std::pair<std::string_view, Enum>;

template <auto Member, const auto& Choices>
constexpr option_value one_of{
    [](options& settings, std::string_view text) -> refusal {
      const auto* found = std::find_if(std::begin(Choices), std::end(Choices),
                                       [text](const auto& c) { return c.first == text; });
      if (found == std::end(Choices)) {
        std::string expected = "one of";
        for (const auto& [word, value] : Choices) expected.append(" ").append(word);
        return expected;
      }
      settings.*Member = found->second;
      return std::nullopt;
    },
    [](const options& settings) {
      const auto* found = std::find_if(std::begin(Choices), std::end(Choices),
                                       [&](const auto& c) { return c.second == settings.*Member; });
      return std::string{found->first};
    }};

template <auto Member>
constexpr option_value on_or_off{
    [](options& settings, std::string_view text) -> refusal {
      constexpr std::array yes{"true", "1", "yes", "on"};
      constexpr std::array no{"false", "0", "no", "off"};
      const bool is_yes = std::find(yes.begin(), yes.end(), text) != yes.end();
      if (!is_yes && std::find(no.begin(), no.end(), text) == no.end()) return "true or false";
      settings.*Member = is_yes;
      return std::nullopt;
    },
    [](const options& settings) { return std::string{settings.*Member ? "true" : "false"}; }};

template <auto Member>
constexpr option_value ip_address{[](options& settings, std::string_view text) -> refusal {
                                    const std::string address{text};
                                    std::array<unsigned char, sizeof(in6_addr)> parsed{};
                                    if (inet_pton(AF_INET, address.c_str(), parsed.data()) != 1 &&
                                        inet_pton(AF_INET6, address.c_str(), parsed.data()) != 1) {
                                      return "an IPv4 or IPv6 address, such as 127.0.0.1 or ::,";
                                    }
                                    settings.*Member = address;
                                    return std::nullopt;
                                  },
                                  [](const options& settings) { return settings.*Member; }};

// Rejects an empty text: treated as "not set", it would leave a server open that was to be
// protected.
template <auto Member>
constexpr option_value file_path{[](options& settings, std::string_view text) -> refusal {
                                   if (text.empty()) return "the path of a file";
                                   settings.*Member = text;
                                   return std::nullopt;
                                 },
                                 [](const options& settings) { return settings.*Member; }};

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

template <auto Member>
constexpr option_value host_list{
    [](options& settings, std::string_view text) -> refusal {
      std::vector<std::string> hosts;
      for (bool more = true; more;) {
        const auto comma = text.find(',');
        more = comma != std::string_view::npos;
        const std::string_view host = without_blanks(text.substr(0, comma));
        if (!is_host_name(host)) {
          return "a comma-separated list of host names without port, such as "
                 "cache.example,localhost,[::1] (and '" +
                 printable(host) + "' is none),";
        }
        hosts.emplace_back(host);
        if (more) text.remove_prefix(comma + 1);
      }
      settings.*Member = std::move(hosts);
      return std::nullopt;
    },
    [](const options& settings) {
      std::string text;
      for (const auto& host : settings.*Member) text.append(text.empty() ? "" : ",").append(host);
      return text;
    }};

constexpr std::array<choice<log_level>, 4> log_levels{{{"debug", log_level::debug},
                                                       {"info", log_level::info},
                                                       {"warn", log_level::warn},
                                                       {"error", log_level::error}}};

constexpr std::array<choice<log_format>, 2> log_formats{
    {{"text", log_format::text}, {"json", log_format::json}}};

// ---- ranges -----------------------------------------------------------------------------------

constexpr std::uint64_t threads_most = 1024;
constexpr std::uint64_t item_chars_most = 1'000'000;
constexpr std::uint64_t entries_most = 1'000'000'000'000;
// The empty server needs 12 MiB; below this there would be no room for a cache at all.
constexpr std::uint64_t memory_limit_least_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t request_bytes_least = 1024;
constexpr std::uint64_t request_bytes_most = std::uint64_t{64} << 20;
constexpr std::uint64_t head_fields_most = 10'000;
constexpr std::uint64_t connections_most = 1'000'000;
constexpr std::uint64_t timeout_least_ms = 100;
constexpr std::uint64_t timeout_most_ms = 86'400'000; // a day
constexpr std::uint64_t access_log_sample_most = 1'000'000;

static_assert(http::http_limits{}.head_bytes == 16384 && http::http_limits{}.target_bytes == 8192 &&
                  http::http_limits{}.body_bytes == 16384,
              "the help on --max-head-bytes, --max-target-bytes and --max-body-bytes tells them");

// ---- the table --------------------------------------------------------------------------------

using o = options;

constexpr std::string_view network = "Network";
constexpr std::string_view content = "Content";
constexpr std::string_view memory = "Memory";
constexpr std::string_view requests = "Requests and connections";
constexpr std::string_view access = "Access";
constexpr std::string_view stopping = "Stopping";
constexpr std::string_view logs = "Logging";

constexpr option_row rows[] = {
    {"bind", network, "<address>", "IP address to listen on; 0.0.0.0 or :: for all interfaces",
     ip_address<&o::bind_address>},
    {"port", network, "<number>", "TCP port to listen on; 0 selects a free one and logs it",
     number<&o::port, 0, 65535>},
    {"threads", network, "<number>|auto",
     "Worker threads; auto is the number of processors available to the process (affinity and "
     "cgroup quota)",
     number_or_auto<&o::threads, 1, threads_most>},

    {"max-key-chars", content, "<characters>", "Maximum length of a key, in Unicode characters",
     number<&o::max_key_chars, 1, item_chars_most>},
    {"max-value-chars", content, "<characters>", "Maximum length of a value, in Unicode characters",
     number<&o::max_value_chars, 1, item_chars_most>},
    {"max-entries", content, "<entries>",
     "Maximum number of entries, enforced by CLOCK eviction; 0 is unlimited",
     number<&o::max_entries, 0, entries_most>},
    {"default-ttl-s", content, "<seconds>",
     "Time to live of entries stored without a ttl; with 0 they do not expire",
     number<&o::default_ttl_s, 0, http::max_ttl_s>},

    {"memory-limit", memory, "<size>|auto",
     "Memory limit of the process, such as 512M or 2G, in addition to those of its container and "
     "the machine; auto adds none",
     size_or_auto<&o::memory_limit_bytes, memory_limit_least_bytes>},
    {"pressure-percent", memory, "<percent>", "Memory use up to which no entry is evicted",
     number<&o::pressure_percent, 1, 99>},
    {"emergency-percent", memory, "<percent>",
     "Memory use from which entries are evicted immediately", number<&o::emergency_percent, 1, 99>},
    {"floor-percent", memory, "<percent>",
     "Share of the memory limit that the cache keeps, whatever other processes use",
     number<&o::floor_percent, 1, 99>},
    {"eviction-interval-ms", memory, "<ms>",
     "Time between two readings of memory use, in milliseconds, at most 1000",
     number<&o::eviction_interval_ms, eviction_interval_least_ms, eviction_interval_most_ms>},

    {"max-head-bytes", requests, "<bytes>|auto",
     "Maximum size of a request head, in bytes; auto follows --max-target-bytes, at least 16384",
     number_or_auto<&o::max_head_bytes, request_bytes_least, request_bytes_most>},
    {"max-head-fields", requests, "<fields>", "Maximum number of header fields in a request",
     number<&o::max_head_fields, 1, head_fields_most>},
    {"max-target-bytes", requests, "<bytes>|auto",
     "Maximum size of a request target, in bytes; auto follows --max-key-chars, at least 8192",
     number_or_auto<&o::max_target_bytes, request_bytes_least, request_bytes_most>},
    {"max-body-bytes", requests, "<bytes>|auto",
     "Maximum size of a request body, in bytes; auto follows the limits of key and value, at least "
     "16384",
     number_or_auto<&o::max_body_bytes, request_bytes_least, request_bytes_most>},
    {"max-connections", requests, "<connections>",
     "Connection limit; 32 further connections are served health checks only, others get 503",
     number<&o::max_connections, 1, connections_most>},
    {"head-timeout-ms", requests, "<ms>", "Maximum time to receive a request head, in milliseconds",
     number<&o::head_timeout_ms, timeout_least_ms, timeout_most_ms>},
    {"body-timeout-ms", requests, "<ms>", "Maximum time to receive a request body, in milliseconds",
     number<&o::body_timeout_ms, timeout_least_ms, timeout_most_ms>},
    {"idle-timeout-ms", requests, "<ms>",
     "Maximum time a connection stays open between requests, in milliseconds",
     number<&o::idle_timeout_ms, timeout_least_ms, timeout_most_ms>},
    {"write-timeout-ms", requests, "<ms>",
     "Maximum time a client may leave its responses unread, in milliseconds",
     number<&o::write_timeout_ms, timeout_least_ms, timeout_most_ms>},

    {"enable-flush", access, "", "Allow everyone to send POST /flush, which empties the cache",
     on_or_off<&o::enable_flush>},
    {"allowed-hosts", access, "<hosts>",
     "Host names that requests may be addressed to, comma-separated, without port; none allows any",
     host_list<&o::allowed_hosts>, true},
    {"auth-token-file", access, "<path>",
     "File of bearer tokens, one of which every request must carry; reloaded on SIGHUP",
     file_path<&o::auth_token_file>, true},

    {"drain-delay-ms", stopping, "<ms>",
     "Time after a stop signal during which connections are still accepted while /readyz returns "
     "503, in milliseconds",
     number<&o::drain_delay_ms, 0, timeout_most_ms>},
    {"drain-timeout-ms", stopping, "<ms>",
     "Maximum time from a stop signal until all connections are closed, including "
     "--drain-delay-ms, in milliseconds",
     number<&o::drain_timeout_ms, timeout_least_ms, timeout_most_ms>},

    {"log-level", logs, "<level>", "Minimum level to log: debug, info, warn or error",
     one_of<&o::level, log_levels>},
    {"log-format", logs, "<format>", "text for people, json for one JSON object per line",
     one_of<&o::format, log_formats>},
    {"access-log", logs, "",
     "Log a line for each request, without keys and values, at any log level",
     on_or_off<&o::access_log>},
    {"access-log-sample", logs, "<requests>",
     "With --access-log: log one in this many requests of each worker; 1 logs all",
     number<&o::access_log_sample, 1, access_log_sample_most>},
};

} // namespace

std::string option_row::flag() const { return "--" + std::string{name}; }

std::string option_row::environment_variable() const {
  std::string variable{environment_prefix};
  for (const char c : name) {
    variable += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return variable;
}

std::span<const option_row> option_table() noexcept { return rows; }

std::optional<std::string> find_contradiction(const options& settings) {
  const pressure_options thresholds{.pressure_percent = settings.pressure_percent,
                                    .emergency_percent = settings.emergency_percent,
                                    .floor_percent = settings.floor_percent};
  if (auto fault = find_fault(thresholds)) return fault;
  if (settings.drain_delay_ms >= settings.drain_timeout_ms) {
    return "--drain-delay-ms (" + std::to_string(settings.drain_delay_ms) +
           ") must be below --drain-timeout-ms (" + std::to_string(settings.drain_timeout_ms) + ")";
  }
  return std::nullopt;
}

} // namespace kvcache::config
