// Boost.Beast the way its examples use it, over the map this project uses: the server a competent
// programmer has after an afternoon, to show what the rest of the work buys.
//
//   bench_ordinary_beast PORT [THREADS]
//
// One shared io_context, a strand and a timer for each connection, http::request and http::response
// with string bodies, nlohmann's DOM. The map is made large enough at the start: libcuckoo 0.3.1
// must not grow under concurrent use. No limits, no eviction, hardly any checks.
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <libcuckoo/cuckoohash_map.hh>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using json = nlohmann::ordered_json; // members in the order of the API

constexpr std::size_t map_slots = std::size_t{1} << 22;
constexpr std::chrono::seconds idle_timeout{30};

using string_map = libcuckoo::cuckoohash_map<std::string, std::string>;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

response answer(const request& asked, http::status status, const json& body) {
  response reply{status, asked.version()};
  reply.set(http::field::server, "ordinary-beast");
  reply.set(http::field::content_type, "application/json");
  reply.keep_alive(asked.keep_alive());
  reply.body() = body.dump();
  reply.prepare_payload();
  return reply;
}

response fault(const request& asked, http::status status, std::string_view message) {
  return answer(asked, status, {{"status", "ERROR"}, {"message", message}});
}

response put(string_map& map, const request& asked) {
  const json body = json::parse(asked.body(), nullptr, false);
  if (!body.is_object() || !body.contains("key") || !body.contains("value")) {
    return fault(asked, http::status::bad_request, "Malformed body.");
  }
  map.insert_or_assign(body["key"].get<std::string>(), body["value"].get<std::string>());
  return answer(asked, http::status::ok,
                {{"status", "OK"}, {"message", "Key inserted/updated successfully."}});
}

response get(const string_map& map, const request& asked, std::string_view key) {
  std::string value;
  if (!map.find(std::string(key), value)) {
    return fault(asked, http::status::not_found, "Key not found.");
  }
  return answer(asked, http::status::ok, {{"status", "OK"}, {"key", key}, {"value", value}});
}

response handle(string_map& map, const request& asked) {
  constexpr std::string_view get_prefix = "/get?key=";
  const std::string_view target(asked.target().data(), asked.target().size());
  if (asked.method() == http::verb::post && target == "/put") {
    return put(map, asked);
  }
  if (asked.method() == http::verb::get && target.starts_with(get_prefix)) {
    return get(map, asked, target.substr(get_prefix.size()));
  }
  return fault(asked, http::status::not_found, "No such path.");
}

class session : public std::enable_shared_from_this<session> {
public:
  session(tcp::socket socket, string_map& map) : stream_(std::move(socket)), map_(map) {}

  void start() {
    asio::dispatch(stream_.get_executor(),
                   beast::bind_front_handler(&session::read, shared_from_this()));
  }

private:
  void read() {
    request_ = {};
    stream_.expires_after(idle_timeout);
    http::async_read(stream_, buffer_, request_,
                     beast::bind_front_handler(&session::on_read, shared_from_this()));
  }

  void on_read(beast::error_code error, std::size_t) {
    if (error) {
      return;
    }
    response_.emplace(handle(map_, request_));
    http::async_write(stream_, *response_,
                      beast::bind_front_handler(&session::on_write, shared_from_this()));
  }

  void on_write(beast::error_code error, std::size_t) {
    if (!error && response_->keep_alive()) {
      read();
    }
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  request request_;
  std::optional<response> response_;
  string_map& map_;
};

class listener {
public:
  listener(asio::io_context& context, std::uint16_t port, string_map& map)
      : context_(context),
        acceptor_(context, {asio::ip::address_v4::loopback(), port}),
        map_(map) {}

  void accept() {
    acceptor_.async_accept(asio::make_strand(context_),
                           [this](beast::error_code error, tcp::socket socket) {
                             if (!error) {
                               socket.set_option(tcp::no_delay(true));
                               std::make_shared<session>(std::move(socket), map_)->start();
                             }
                             accept();
                           });
  }

private:
  asio::io_context& context_;
  tcp::acceptor acceptor_;
  string_map& map_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: bench_ordinary_beast PORT [THREADS]\n";
    return 2;
  }
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  string_map map(map_slots);
  asio::io_context context(threads);
  listener incoming(context, static_cast<std::uint16_t>(std::atoi(argv[1])), map);
  incoming.accept();
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&] { context.run(); });
  }
  context.run();
}
