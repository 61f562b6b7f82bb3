// `keyvalue-cache --health-check`: asks a running server whether it is alive, so that an image
// needs no further program for its HEALTHCHECK.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace kvcache::config {

struct health {
  bool healthy = false;
  std::string fault; // what was wrong, for people; empty if healthy
};

// GET /healthz at the address the server was told to bind to (its loopback one where that is "all
// interfaces"); anything but a 200 within the time is a fault.
health check_health(const std::string& bind_address, std::uint16_t port,
                    std::chrono::milliseconds time);

// Where a client on the same machine reaches a server bound there: 127.0.0.1 for 0.0.0.0, ::1 for
// ::.
std::string reachable_address(const std::string& bind_address);

} // namespace kvcache::config
