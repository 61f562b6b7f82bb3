#include "support/test_server.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace kvcache::test {

http::server_options test_server::on_any_port(http::server_options options) {
  options.port = 0;
  return options;
}

test_server::test_server(http::server_options options, http::server_services services,
                         const http::endpoint_set& endpoints, http::unique_fd passed_socket)
    : store_(cache_options{}),
      endpoints_(endpoints),
      counters_(options.threads, endpoints_.operations()),
      server_(on_any_port(std::move(options)), endpoints_, store_, clock_, std::move(services),
              counters_, std::move(passed_socket)) {
  server_.start();
}

std::uint64_t test_server::responses(std::string_view operation, unsigned status) const {
  const observe::counters_snapshot counts = counted();
  for (std::size_t op = 0; op < counts.operations.size(); ++op)
    if (counts.operations[op].name == operation)
      return counts.of(static_cast<observe::operation_id>(op), status);
  throw std::invalid_argument{std::string{operation}};
}

} // namespace kvcache::test
