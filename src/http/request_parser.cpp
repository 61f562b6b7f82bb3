#include "http/request_parser.hpp"

#include <new>

namespace kvcache::http {

request_parser::request_parser(const http_limits& limits) noexcept : limits_(limits) {
  parser_.emplace(limits_);
}

parse_result request_parser::parse(std::span<char> bytes) noexcept {
  const std::string_view input{bytes.data(), bytes.size()};
  if (parser_is_new_ && !input.empty()) {
    head_memo& memo = memo_for(input);
    if (const std::size_t consumed = memo.recognise(input, limits_); consumed != 0) {
      current_ = &memo.recognised();
      return {parse_status::complete, fault::none, consumed};
    }
  }
  parser_is_new_ = false;
  current_ = &request_;
  parse_result result;
  try {
    result = parser_->parse(bytes);
  } catch (const std::bad_alloc&) {
    result = {parse_status::refused, fault::out_of_memory, 0};
  }
  if (result.status == parse_status::complete) {
    parser_->describe(input, request_);
    request_.granted = memo_for(input).learn(input, parser_->head_end(), request_);
  }
  return result;
}

const request& request_parser::unfinished() noexcept {
  request_ = {};
  parser_->identify(request_);
  return request_;
}

std::string_view request_parser::guess_key(std::string_view behind) const noexcept {
  if (behind.empty()) return {};
  return (behind.front() == 'P' ? write_memo_ : read_memo_).guess_key(behind);
}

const request& request_parser::describe_head(std::string_view input) noexcept {
  parser_->describe(input, request_);
  request_.granted = nullptr;
  return request_;
}

void request_parser::reset() noexcept {
  if (parser_is_new_) return;
  parser_.emplace(limits_);
  parser_is_new_ = true;
}

} // namespace kvcache::http
