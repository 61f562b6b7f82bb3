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
#include "eviction/pressure.hpp"
#include "http/ascii.hpp"
#include "process/printable.hpp"

namespace kvcache::config {

namespace {

using refusal = std::optional<std::string>;
using nlohmann::json;

// ---- the kinds of values: each makes the option_value of one member ---------------------------
//
// `Path` are pointers to members that lead from `options` to the value: &o::server, &s::port.

template <auto... Path>
constexpr auto& member_of(auto& settings) {
  return (settings.*....*Path);
}

template <auto... Path>
using value_of = std::remove_cvref_t<decltype(member_of<Path...>(std::declval<options&>()))>;

template <auto... Path>
json show(const options& settings) {
  return member_of<Path...>(settings);
}

template <std::uint64_t Low, std::uint64_t High, auto... Path>
constexpr option_value number{
    [](options& settings, std::string_view text) -> refusal {
      static_assert(std::in_range<value_of<Path...>>(High));
      value_of<Path...> value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size() || value < Low || value > High)
        return "a whole number from " + std::to_string(Low) + " to " + std::to_string(High);
      member_of<Path...>(settings) = value;
      return std::nullopt;
    },
    [](const options& settings) { return std::to_string(member_of<Path...>(settings)); },
    show<Path...>};

// The value 0 is written as "auto": the program determines the value.
template <std::uint64_t Low, std::uint64_t High, auto... Path>
constexpr option_value number_or_auto{
    [](options& settings, std::string_view text) -> refusal {
      if (text != "auto") {
        const auto expected = number<Low, High, Path...>.read(settings, text);
        return expected ? std::optional{"auto or " + *expected} : std::nullopt;
      }
      member_of<Path...>(settings) = 0;
      return std::nullopt;
    },
    [](const options& settings) {
      const auto value = member_of<Path...>(settings);
      return value == 0 ? std::string{"auto"} : std::to_string(value);
    },
    show<Path...>};

template <std::uint64_t Low, auto... Path>
constexpr option_value size_or_auto{
    [](options& settings, std::string_view text) -> refusal {
      const auto value = text == "auto" ? std::uint64_t{0} : parse_byte_size(text);
      if (!value || (*value < Low && text != "auto")) {
        return "auto or a size of at least " + format_byte_size(Low) + ", such as 512M or 2G,";
      }
      member_of<Path...>(settings) = *value;
      return std::nullopt;
    },
    [](const options& settings) {
      const std::uint64_t value = member_of<Path...>(settings);
      return value == 0 ? std::string{"auto"} : format_byte_size(value);
    },
    [](const options& settings) {
      const std::uint64_t value = member_of<Path...>(settings);
      return value == 0 ? json() : json(value);
    }};

template <std::uint64_t Low, std::uint64_t High, auto... Path>
constexpr option_value size{
    [](options& settings, std::string_view text) -> refusal {
      const auto value = parse_byte_size(text);
      if (!value || *value < Low || *value > High)
        return "a size from " + format_byte_size(Low) + " to " + format_byte_size(High);
      member_of<Path...>(settings) = *value;
      return std::nullopt;
    },
    [](const options& settings) { return format_byte_size(member_of<Path...>(settings)); },
    show<Path...>};

template <class Enum>
using choice = std::pair<std::string_view, Enum>;

template <const auto& Choices, auto... Path>
constexpr option_value one_of{
    [](options& settings, std::string_view text) -> refusal {
      const auto found = std::ranges::find(Choices, text, &choice<value_of<Path...>>::first);
      if (found == Choices.end()) {
        std::string expected = "one of";
        for (const auto& [word, value] : Choices) expected.append(" ").append(word);
        return expected;
      }
      member_of<Path...>(settings) = found->second;
      return std::nullopt;
    },
    [](const options& settings) {
      return std::string{std::ranges::find(Choices, member_of<Path...>(settings),
                                           &choice<value_of<Path...>>::second)
                             ->first};
    }};

template <auto... Path>
constexpr option_value on_or_off{[](options& settings, std::string_view text) -> refusal {
                                   constexpr std::array yes{"true", "1", "yes", "on"};
                                   constexpr std::array no{"false", "0", "no", "off"};
                                   const bool is_yes = std::ranges::find(yes, text) != yes.end();
                                   if (!is_yes && std::ranges::find(no, text) == no.end())
                                     return "true or false";
                                   member_of<Path...>(settings) = is_yes;
                                   return std::nullopt;
                                 },
                                 [](const options& settings) {
                                   return std::string{member_of<Path...>(settings) ? "true"
                                                                                   : "false"};
                                 },
                                 show<Path...>};

template <auto... Path>
constexpr option_value ip_address{
    [](options& settings, std::string_view text) -> refusal {
      const std::string address{text};
      std::array<unsigned char, sizeof(in6_addr)> parsed{};
      if (inet_pton(AF_INET, address.c_str(), parsed.data()) != 1 &&
          inet_pton(AF_INET6, address.c_str(), parsed.data()) != 1) {
        return "an IPv4 or IPv6 address, such as 127.0.0.1 or ::,";
      }
      member_of<Path...>(settings) = address;
      return std::nullopt;
    },
    [](const options& settings) { return member_of<Path...>(settings); }, show<Path...>};

// Rejects an empty text: treated as "not set", it would leave a server open that was to be
// protected. Statistics show only whether it is set.
template <auto... Path>
constexpr option_value file_path{
    [](options& settings, std::string_view text) -> refusal {
      if (text.empty()) return "the path of a file";
      member_of<Path...>(settings) = text;
      return std::nullopt;
    },
    [](const options& settings) { return member_of<Path...>(settings); },
    [](const options& settings) { return json(!member_of<Path...>(settings).empty()); }};

// Statistics show only the number of hosts: the names are not for every reader.
template <auto... Path>
constexpr option_value host_list{
    [](options& settings, std::string_view text) -> refusal {
      std::vector<std::string> hosts;
      for (bool more = true; more;) {
        const auto comma = text.find(',');
        more = comma != std::string_view::npos;
        const std::string_view host = http::trimmed(text.substr(0, comma));
        if (!is_host_name(host)) {
          return "a comma-separated list of host names without port, such as "
                 "cache.example,localhost,[::1] ('" +
                 printable(host) + "' is not one),";
        }
        hosts.emplace_back(host);
        if (more) text.remove_prefix(comma + 1);
      }
      member_of<Path...>(settings) = std::move(hosts);
      return std::nullopt;
    },
    [](const options& settings) {
      std::string text;
      for (const auto& host : member_of<Path...>(settings))
        text.append(text.empty() ? "" : ",").append(host);
      return text;
    },
    [](const options& settings) { return json(member_of<Path...>(settings).size()); }};

constexpr std::array<choice<log_level>, 4> log_levels{{{"debug", log_level::debug},
                                                       {"info", log_level::info},
                                                       {"warn", log_level::warn},
                                                       {"error", log_level::error}}};

constexpr std::array<choice<log_format>, 2> log_formats{
    {{"text", log_format::text}, {"json", log_format::json}}};

// ---- ranges -----------------------------------------------------------------------------------

constexpr std::uint64_t threads_most = 1024;
constexpr std::uint64_t item_chars_most = 1'000'000;
constexpr std::uint64_t value_bytes_most = std::uint64_t{64} << 20;
constexpr std::uint64_t entries_most = 1'000'000'000'000;
// A lower limit would leave no memory for entries.
constexpr std::uint64_t memory_limit_least_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t request_bytes_least = 1024;
constexpr std::uint64_t batch_ops_most = 10'000;
constexpr std::uint64_t batch_least_bytes = 1024;
constexpr std::uint64_t batch_reply_least_bytes = std::uint64_t{64} << 10;
constexpr std::uint64_t request_bytes_most = std::uint64_t{64} << 20;
constexpr std::uint64_t head_fields_most = 10'000;
constexpr std::uint64_t connections_most = 1'000'000;
constexpr std::uint64_t timeout_least_ms = 100;
constexpr std::uint64_t timeout_most_ms = 86'400'000;          // a day
constexpr std::uint64_t snapshot_interval_most_s = 31'536'000; // a year
constexpr std::uint64_t access_log_sample_most = 1'000'000;

static_assert(http::http_limits{}.head_bytes == 16384 && http::http_limits{}.target_bytes == 8192 &&
                  http::http_limits{}.body_bytes == 16384,
              "the help on --max-head-bytes, --max-target-bytes and --max-body-bytes states them");

// ---- the table --------------------------------------------------------------------------------

using http::deadlines;
using http::http_limits;
using http::server_options;

template <auto Member>
constexpr option_value percent = number<1, 99, &options::cache, &limited_cache_options::eviction,
                                        &evictor_options::pressure, Member>;

template <auto Member>
constexpr option_value timeout =
    number<timeout_least_ms, timeout_most_ms, &options::server, &server_options::timeouts, Member>;

template <auto Member>
constexpr option_value request_bytes =
    number_or_auto<request_bytes_least, request_bytes_most, &options::server,
                   &server_options::limits, Member>;

constexpr std::string_view network = "Network";
constexpr std::string_view content = "Content";
constexpr std::string_view memory = "Memory";
constexpr std::string_view requests = "Requests and connections";
constexpr std::string_view snapshots = "Snapshots";
constexpr std::string_view access = "Access";
constexpr std::string_view stopping = "Stopping";
constexpr std::string_view logs = "Logging";

constexpr option_row rows[] = {
    {"bind", network, "<address>", "IP address to listen on; 0.0.0.0 or :: for all interfaces",
     ip_address<&options::server, &server_options::bind_address>},
    {"port", network, "<number>", "TCP port to listen on; 0 selects a free one and logs it",
     number<0, 65535, &options::server, &server_options::port>},
    {"threads", network, "<number>|auto",
     "Worker threads; auto is the number of processors available to the process (affinity and "
     "cgroup quota)",
     number_or_auto<1, threads_most, &options::server, &server_options::threads>},

    {"max-key-chars", content, "<characters>", "Maximum length of a key, in Unicode characters",
     number<1, item_chars_most, &options::server, &server_options::limits,
            &http_limits::max_key_chars>},
    {"max-value-chars", content, "<characters>", "Maximum length of a value, in Unicode characters",
     number<1, item_chars_most, &options::server, &server_options::limits,
            &http_limits::max_value_chars>},
    {"max-value-bytes", content, "<size>",
     "Maximum length of a value put under /kv/, such as 1M, at most 64M",
     size<1, value_bytes_most, &options::server, &server_options::limits,
          &http_limits::max_value_bytes>},
    {"max-entries", content, "<entries>",
     "Maximum number of entries, enforced by CLOCK eviction; 0 is unlimited",
     number<0, entries_most, &options::cache, &limited_cache_options::max_entries>},
    {"default-ttl-s", content, "<seconds>",
     "Time to live of entries stored without a ttl; with 0 they do not expire",
     number<0, http::max_ttl_s, &options::server, &server_options::default_ttl_s>},

    {"memory-limit", memory, "<size>|auto",
     "Memory limit of the process, such as 512M or 2G, in addition to those of its container and "
     "the machine; auto adds none",
     size_or_auto<memory_limit_least_bytes, &options::cache,
                  &limited_cache_options::memory_limit_bytes>,
     "memory_limit_bytes"},
    {"pressure-percent", memory, "<percent>", "Memory use up to which no entry is evicted",
     percent<&pressure_options::pressure_percent>},
    {"emergency-percent", memory, "<percent>",
     "Memory use from which entries are evicted immediately",
     percent<&pressure_options::emergency_percent>},
    {"floor-percent", memory, "<percent>",
     "Share of the memory limit that the cache keeps, whatever other processes use",
     percent<&pressure_options::floor_percent>},
    {"eviction-interval-ms", memory, "<ms>",
     "Time between two readings of memory use, in milliseconds, at most 1000",
     number<eviction_interval_least_ms, eviction_interval_most_ms, &options::cache,
            &limited_cache_options::eviction, &evictor_options::interval_ms>},

    {"max-head-bytes", requests, "<bytes>|auto",
     "Maximum size of a request head, in bytes; auto follows --max-target-bytes, at least 16384",
     request_bytes<&http_limits::head_bytes>},
    {"max-head-fields", requests, "<fields>", "Maximum number of header fields in a request",
     number<1, head_fields_most, &options::server, &server_options::limits,
            &http_limits::head_fields>},
    {"max-target-bytes", requests, "<bytes>|auto",
     "Maximum size of a request target, in bytes; auto follows --max-key-chars, at least 8192",
     request_bytes<&http_limits::target_bytes>},
    {"max-body-bytes", requests, "<bytes>|auto",
     "Maximum size of a request body, in bytes; auto follows the limits of key and value, at least "
     "16384",
     request_bytes<&http_limits::body_bytes>},
    {"max-batch-ops", requests, "<operations>", "Maximum number of operations in a batch",
     number<1, batch_ops_most, &options::server, &server_options::limits,
            &http_limits::max_batch_ops>},
    {"max-batch-bytes", requests, "<size>",
     "Maximum size of a batch's request body, such as 1M, at most 64M",
     size<batch_least_bytes, value_bytes_most, &options::server, &server_options::limits,
          &http_limits::max_batch_bytes>},
    {"max-batch-reply-bytes", requests, "<size>",
     "Maximum size of a batch's response body, at least 64K; a get that finds no room in it fails",
     size<batch_reply_least_bytes, value_bytes_most, &options::server, &server_options::limits,
          &http_limits::max_batch_reply_bytes>},
    {"max-connections", requests, "<connections>",
     "Connection limit; 32 further connections are served health checks only, others get 503",
     number<1, connections_most, &options::server, &server_options::max_connections>},
    {"head-timeout-ms", requests, "<ms>", "Maximum time to receive a request head, in milliseconds",
     timeout<&deadlines::head_timeout_ms>},
    {"body-timeout-ms", requests, "<ms>",
     "Maximum time to receive a request body, in milliseconds, and a second more for each MiB",
     timeout<&deadlines::body_timeout_ms>},
    {"idle-timeout-ms", requests, "<ms>",
     "Maximum time a connection stays open between requests, in milliseconds",
     timeout<&deadlines::idle_timeout_ms>},
    {"write-timeout-ms", requests, "<ms>",
     "Maximum time a client may leave its responses unread, in milliseconds",
     timeout<&deadlines::write_timeout_ms>},

    {"snapshot-file", snapshots, "<path>",
     "File that entries are saved to at a stop, and loaded from at the next start",
     file_path<&options::snapshots, &snapshot::options::file>},
    {"snapshot-interval-s", snapshots, "<seconds>",
     "Time between two snapshots while serving; with 0 there is only the one at the stop",
     number<0, snapshot_interval_most_s, &options::snapshots, &snapshot::options::interval_s>},
    {"snapshot-timeout-ms", snapshots, "<ms>",
     "Maximum time for the snapshot at a stop, in milliseconds, after all connections are closed; "
     "the least recently used entries are left out if it does not suffice",
     number<timeout_least_ms, timeout_most_ms, &options::snapshots,
            &snapshot::options::timeout_ms>},
    {"snapshot-max-age-s", snapshots, "<seconds>",
     "Maximum age of a snapshot that is loaded; with 0 any is",
     number<0, http::max_ttl_s, &options::snapshots, &snapshot::options::max_age_s>},

    {"enable-flush", access, "", "Allow everyone to send POST /flush, which empties the cache",
     on_or_off<&options::server, &server_options::enable_flush>},
    {"enable-snapshot", access, "",
     "Allow everyone to send POST /snapshot, which writes the snapshot file",
     on_or_off<&options::server, &server_options::enable_snapshot>},
    {"no-page", access, "",
     "Respond with 404 to GET /, which else is a page for browsers that shows the cache at work",
     on_or_off<&options::server, &server_options::no_page>},
    {"allowed-hosts", access, "<hosts>",
     "Host names that requests may be addressed to, comma-separated, without port; none allows any",
     host_list<&options::server, &server_options::allowed_hosts>, "", true},
    {"auth-token-file", access, "<path>",
     "File of bearer tokens, one of which every request must carry; reloaded on SIGHUP",
     file_path<&options::auth_token_file>, "tokens", true},

    {"drain-delay-ms", stopping, "<ms>",
     "Time after a stop signal during which connections are still accepted while /readyz returns "
     "503, in milliseconds",
     number<0, timeout_most_ms, &options::server, &server_options::drain_delay_ms>},
    {"drain-timeout-ms", stopping, "<ms>|auto",
     "Maximum time from a stop signal until all connections are closed, including "
     "--drain-delay-ms, in milliseconds; auto is 8000, or 4000 with --snapshot-file",
     number_or_auto<timeout_least_ms, timeout_most_ms, &options::server,
                    &server_options::drain_timeout_ms>},

    {"log-level", logs, "<level>", "Minimum level to log: debug, info, warn or error",
     one_of<log_levels, &options::level>},
    {"log-format", logs, "<format>", "text for people, json for one JSON object per line",
     one_of<log_formats, &options::format>},
    {"access-log", logs, "",
     "Log a line for each request, without keys and values, at any log level",
     on_or_off<&options::access_log>},
    {"access-log-sample", logs, "<requests>",
     "With --access-log: log one in this many requests of each worker; 1 logs all",
     number<1, access_log_sample_most, &options::server, &server_options::access_log_sample>},
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

std::string option_row::stats_member() const {
  std::string member{stats_name.empty() ? name : stats_name};
  std::ranges::replace(member, '-', '_');
  return member;
}

std::span<const option_row> option_table() noexcept { return rows; }

nlohmann::ordered_json settings_json(const options& settings) {
  nlohmann::ordered_json shown;
  for (const option_row& row : rows)
    if (row.value.show != nullptr) shown[row.stats_member()] = row.value.show(settings);
  return shown;
}

nlohmann::ordered_json changed_defaults_json(const options& settings, const options& defaults) {
  const nlohmann::ordered_json in_force = settings_json(settings);
  nlohmann::ordered_json changed = settings_json(defaults);
  for (const auto& [name, value] : in_force.items())
    if (changed[name] == value) changed.erase(name);
  return changed;
}

std::optional<std::string> find_contradiction(const options& settings) {
  if (auto fault = find_fault(settings.cache.eviction.pressure)) return fault;
  const auto [delay_ms, timeout_ms] =
      std::pair{settings.server.drain_delay_ms, drain_timeout_ms(settings)};
  if (delay_ms >= timeout_ms) {
    return "--drain-delay-ms (" + std::to_string(delay_ms) +
           ") must be below --drain-timeout-ms (" + std::to_string(timeout_ms) + ")";
  }
  return std::nullopt;
}

} // namespace kvcache::config
