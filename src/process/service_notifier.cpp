#include "process/service_notifier.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <system_error>
#include <utility>

#include "process/printable.hpp"

namespace kvcache::config {

namespace {

// More are dropped: the manager has not read for as many reloads.
constexpr std::size_t unsent_most = 16;

// CLOCK_MONOTONIC, from which the manager recognises the reload that a message belongs to.
std::chrono::microseconds monotonic_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

} // namespace

service_notifier::service_notifier(const std::string& socket_name, logging& log)
    : log_(log),
      name_(socket_name),
      socket_(socket_name.empty() ? -1 : ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  if (name_.empty()) return;
  if (!is_enabled()) {
    report_failure("socket", errno);
    return;
  }
  address_.sun_family = AF_UNIX;
  const std::size_t bytes = std::min(name_.size(), sizeof(address_.sun_path) - 1);
  std::copy_n(name_.begin(), bytes, address_.sun_path);
  const bool is_abstract = name_.starts_with('@');
  if (is_abstract) address_.sun_path[0] = '\0';
  // An abstract name has no terminating null: one would belong to the name.
  address_bytes_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes + (is_abstract ? 0 : 1));
}

void service_notifier::ready() noexcept {
  if (!is_stopping_) send_state("READY=1");
}

void service_notifier::reloading() noexcept {
  if (is_stopping_) return;
  try {
    send_state("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_now().count()));
  } catch (const std::exception&) { // no memory: the reload itself is not reported
  }
}

void service_notifier::stopping() noexcept {
  if (!std::exchange(is_stopping_, true)) send_state("STOPPING=1");
}

void service_notifier::status(std::string_view line) noexcept {
  if (!is_enabled()) return;
  try {
    send("STATUS=" + printable(line));
  } catch (const std::exception&) { // no memory: the next status replaces it
  }
}

void service_notifier::keep_alive() noexcept { send("WATCHDOG=1"); }

void service_notifier::retry() noexcept {
  while (!unsent_.empty() && send(unsent_.front()) == outcome::done) unsent_.erase(unsent_.begin());
}

void service_notifier::send_state(std::string message) noexcept {
  retry();
  if (unsent_.empty() && send(message) == outcome::done) return;
  if (unsent_.size() == unsent_most) return;
  try {
    unsent_.push_back(std::move(message));
  } catch (const std::exception&) { // no memory
  }
}

// Not connected: after systemd has re-executed itself, its socket is another one of the same name.
service_notifier::outcome service_notifier::send(std::string_view message) noexcept {
  if (!is_enabled()) return outcome::done;
  const auto* to = reinterpret_cast<const sockaddr*>(&address_);
  if (::sendto(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to,
               address_bytes_) >= 0)
    return outcome::done;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
    return outcome::queue_is_full;
  report_failure("sendto", errno);
  return outcome::done;
}

void service_notifier::report_failure(const char* call, int error) noexcept {
  if (std::exchange(has_failed_, true)) return;
  try {
    log_.warn("cannot notify the service manager at " + printable(name_) +
              " (NOTIFY_SOCKET): " + call + ": " + std::generic_category().message(error) +
              (error == EAFNOSUPPORT ? "; add AF_UNIX to RestrictAddressFamilies=" : ""));
  } catch (const std::exception&) {
    log_.warn("cannot notify the service manager (NOTIFY_SOCKET)");
  }
}

} // namespace kvcache::config
