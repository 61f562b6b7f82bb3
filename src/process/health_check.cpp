#include "process/health_check.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <string_view>

namespace kvcache::config {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::string_view healthy_begin = "HTTP/1.1 200 ";

} // namespace

std::string reachable_address(const std::string& bind_address) {
  error_code error;
  const auto address = asio::ip::make_address(bind_address, error);
  if (error || !address.is_unspecified()) return bind_address;
  return address.is_v6() ? "::1" : "127.0.0.1";
}

health check_health(const std::string& bind_address, std::uint16_t port,
                    std::chrono::milliseconds time) {
  const std::string host = reachable_address(bind_address);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return {false, "'" + host + "' is not an IP address"};
  const std::string authority =
      (address.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
  const std::string request =
      "GET /healthz HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n\r\n";
  std::string response(healthy_begin.size(), '\0');

  asio::io_context io;
  asio::ip::tcp::socket socket{io};
  health found{false, "connecting took too long"}; // unless a later step replaces it
  const auto on_response = [&](error_code failure, std::size_t) {
    if (failure == asio::error::eof)
      found.fault = "the connection was closed without a response";
    else if (failure)
      found.fault = "recv: " + failure.message();
    else if (response != healthy_begin)
      found.fault = "the response is not 200 but begins with '" + response + "'";
    else
      found = {true, {}};
  };
  const auto on_request_sent = [&](error_code failure, std::size_t) {
    found.fault = failure ? "send: " + failure.message() : "the response took too long";
    if (!failure) asio::async_read(socket, asio::buffer(response), on_response);
  };
  socket.async_connect({address, port}, [&](error_code failure) {
    if (failure)
      found.fault = "connect: " + failure.message();
    else
      asio::async_write(socket, asio::buffer(request), on_request_sent);
  });
  io.run_for(time);
  return found;
}

} // namespace kvcache::config
