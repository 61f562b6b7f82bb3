#include "server/access_recorder.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace kvcache::http {

namespace {

// "HTTP/1.1 200 OK"
unsigned status_of(std::string_view reply) noexcept {
  constexpr std::size_t at = std::string_view{"HTTP/1.1 "}.size();
  assert(reply.size() > at + 3);
  unsigned status = 0;
  for (const char digit : reply.substr(at, 3))
    status = status * 10 + static_cast<unsigned>(digit - '0');
  return status;
}

} // namespace

void access_recorder::note(int socket, method verb, std::string_view path, std::string_view reply,
                           std::size_t more_bytes) noexcept {
  if (skip_ != 0) {
    --skip_;
    return;
  }
  skip_ = sample_every_ - 1;
  if (count_ == 0) find_peer(socket);
  records_[count_++] = {{}, verb, path, status_of(reply), reply.size() + more_bytes, std::nullopt};
  if (!in_batch_ || count_ == records_.size()) write_all(std::nullopt);
}

void access_recorder::batch_end(std::chrono::nanoseconds took) noexcept {
  in_batch_ = false;
  if (count_ != 0) write_all(took);
}

void access_recorder::write_all(std::optional<std::chrono::nanoseconds> took) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    records_[i].peer = {peer_.data(), peer_size_};
    records_[i].took = took;
    log_.write(records_[i]);
  }
  count_ = 0;
}

void access_recorder::find_peer(int socket) noexcept {
  peer_size_ = 0;
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  std::array<char, INET6_ADDRSTRLEN> host{};
  int written = 0;
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    if (::inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size()) == nullptr) return;
    written = std::snprintf(peer_.data(), peer_.size(), "[%s]:%u", host.data(),
                            static_cast<unsigned>(ntohs(v6.sin6_port)));
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof(v4));
    if (::inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size()) == nullptr) return;
    written = std::snprintf(peer_.data(), peer_.size(), "%s:%u", host.data(),
                            static_cast<unsigned>(ntohs(v4.sin_port)));
  }
  if (written > 0) peer_size_ = static_cast<std::size_t>(written);
}

} // namespace kvcache::http
