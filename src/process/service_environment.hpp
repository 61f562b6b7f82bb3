// The environment variables with which a service manager such as systemd starts a service:
// NOTIFY_SOCKET (sd_notify(3)), WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3)), LISTEN_FDS
// and LISTEN_PID (sd_listen_fds(3)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace kvcache::config {

struct service_environment {
  std::string notify_socket; // a path, or '@' and an abstract name; empty: nobody is notified
  std::optional<std::chrono::microseconds> watchdog_timeout;
  int passed_sockets = 0; // their descriptors begin at 3

  std::string fault;                 // the service must not start with this; empty: none
  std::vector<std::string> warnings; // of values that are ignored
};

// Variables that are meant for another process (`self` is this one) count as not set, and so do
// empty ones. `variables` ends with a null, as environ does.
service_environment read_service_environment(const char* const* variables, pid_t self);

} // namespace kvcache::config
