// The connections of a worker that have a long request to go on with, one turn each: first come,
// first served, and between two turns the sockets that are ready.
//
// Thread-safety: none; all members run on the worker's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include "server/connection.hpp"
#include "server/handler_memory.hpp"

namespace kvcache::http {

class turn_queue {
public:
  explicit turn_queue(boost::asio::io_context& context) noexcept : context_(context) {}

  // connection::take_turn() is called soon, unless the connection is closed before.
  void push_back(connection& c) noexcept;

  // For the sweep: in case there was no memory to schedule the next turn.
  void schedule() noexcept;

private:
  using waiter_list = boost::intrusive::list<connection, boost::intrusive::base_hook<waiter_hook>,
                                             boost::intrusive::constant_time_size<false>>;

  void take_turn() noexcept;

  boost::asio::io_context& context_;
  waiter_list waiting_;
  handler_memory memory_;
  bool scheduled_ = false;
};

} // namespace kvcache::http
