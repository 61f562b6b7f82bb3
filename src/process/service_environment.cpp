#include "process/service_environment.hpp"

#include <sys/un.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "process/printable.hpp"

namespace kvcache::config {

namespace {

// The value of a variable; empty if it is not set.
std::string_view value_of(const char* const* variables, std::string_view name) {
  for (; *variables != nullptr; ++variables) {
    const std::string_view variable{*variables};
    if (variable.starts_with(name) && variable.substr(name.size()).starts_with('='))
      return variable.substr(name.size() + 1);
  }
  return {};
}

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// A path or an abstract name, which with its terminating null fits the address of a socket.
bool is_socket_name(std::string_view name) {
  return (name.starts_with('/') || name.starts_with('@')) && name.size() > 1 &&
         name.size() < sizeof(sockaddr_un::sun_path);
}

std::string ignored(std::string_view name, std::string_view value, std::string_view expected) {
  return "environment variable " + std::string{name} + " is '" + printable(value) +
         "', which is not " + std::string{expected} + "; ignored";
}

void read_watchdog(const char* const* variables, pid_t self, service_environment& into) {
  const std::string_view timeout = value_of(variables, "WATCHDOG_USEC");
  const std::string_view process = value_of(variables, "WATCHDOG_PID");
  if (timeout.empty()) return;
  if (!process.empty() && parse<pid_t>(process) != self) return;
  const auto microseconds = parse<std::int64_t>(timeout);
  if (microseconds && *microseconds > 0)
    into.watchdog_timeout = std::chrono::microseconds{*microseconds};
  else
    into.warnings.push_back(ignored("WATCHDOG_USEC", timeout, "a number of microseconds"));
}

// Unlike the others, this decides which clients are served: no value of it is ignored.
void read_sockets(const char* const* variables, pid_t self, service_environment& into) {
  const std::string_view number = value_of(variables, "LISTEN_FDS");
  if (number.empty() || parse<pid_t>(value_of(variables, "LISTEN_PID")) != self) return;
  if (const auto sockets = parse<int>(number))
    into.passed_sockets = *sockets;
  else
    into.fault =
        "LISTEN_FDS: '" + printable(number) + "' is not valid, a number of sockets is expected";
}

} // namespace

service_environment read_service_environment(const char* const* variables, pid_t self) {
  service_environment found;
  const std::string_view socket = value_of(variables, "NOTIFY_SOCKET");
  if (is_socket_name(socket))
    found.notify_socket = socket;
  else if (!socket.empty())
    found.warnings.push_back(
        ignored("NOTIFY_SOCKET", socket, "the path or the abstract name of a local socket"));
  read_watchdog(variables, self, found);
  read_sockets(variables, self, found);
  return found;
}

} // namespace kvcache::config
