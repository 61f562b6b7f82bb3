#include "support/test_server.hpp"

#include <utility>

namespace kvcache::test {

http::server_options test_server::on_any_port(http::server_options options) {
  options.port = 0;
  return options;
}

test_server::test_server(http::server_options options, http::server_services services)
    : store_(cache_options{}),
      counters_(options.threads),
      server_(on_any_port(std::move(options)), store_, clock_, std::move(services), counters_) {
  server_.start();
}

} // namespace kvcache::test
