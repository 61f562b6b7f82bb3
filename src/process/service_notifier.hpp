// Reports the state of the service to the service manager, by the protocol of sd_notify(3):
// datagrams to the local socket of NOTIFY_SOCKET.
//
// A message that the manager's full queue refuses is kept, and sent before the next one or by
// retry(). A status or a keep-alive is dropped then, since a newer one follows.
//
// Thread-safety: none.
// Ownership: owns its socket. The log must outlive it.
// Errors: no member throws or blocks. The first failure is logged as a warning.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>
#include <vector>

#include "process/logging.hpp"
#include "server/unique_fd.hpp"

namespace kvcache::config {

class service_notifier {
public:
  // `socket_name`: a path, or '@' and an abstract name; empty: no member does anything.
  service_notifier(const std::string& socket_name, logging& log);

  bool is_enabled() const noexcept { return socket_.get() >= 0; }

  // The service serves: at its start, and after each reloading().
  void ready() noexcept;

  // It reloads its configuration; ready() must follow.
  void reloading() noexcept;

  // It stops. Neither ready() nor reloading() sends anything afterwards.
  void stopping() noexcept;

  // One line for people, which `systemctl status` shows until the next one.
  void status(std::string_view line) noexcept;

  // Feeds the watchdog.
  void keep_alive() noexcept;

  // Sends what could not be sent yet.
  void retry() noexcept;

private:
  enum class outcome : bool { done, queue_is_full };

  void send_state(std::string message) noexcept;
  outcome send(std::string_view message) noexcept;
  void report_failure(const char* call, int error) noexcept;

  logging& log_;
  const std::string name_;
  sockaddr_un address_{};
  socklen_t address_bytes_ = 0;
  http::unique_fd socket_;
  std::vector<std::string> unsent_; // in order
  bool is_stopping_ = false;
  bool has_failed_ = false;
};

} // namespace kvcache::config
