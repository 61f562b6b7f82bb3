// `keyvalue-cache --health-check`: requests /healthz from a running server, so that the image needs
// no other program for its HEALTHCHECK.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kvcache::config {

struct health {
  bool healthy = false;
  std::string fault; // the cause, for people; empty if healthy
};

// GET /healthz at the server's bind address (the loopback address if that is "all interfaces").
// Anything but a 200 within `time` is a fault.
health check_health(const std::string& bind_address, std::uint16_t port,
                    std::chrono::milliseconds time);

// The address at which a local client reaches a server bound there: 127.0.0.1 for 0.0.0.0, ::1 for
// ::.
std::string reachable_address(const std::string& bind_address);

} // namespace kvcache::config
