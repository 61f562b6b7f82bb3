#include "daemon/token_reader.hpp"

#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace kvcache::daemon {

struct token_reader::state {
  state(std::string file, std::function<void()> when_done, read_function how)
      : path(std::move(file)), read(std::move(how)), done(std::move(when_done)) {}

  // The thread's body.
  void run() noexcept {
    for (bool more = true; more;) {
      result read_result = read_once();
      const std::lock_guard lock{mutex};
      found = std::move(read_result);
      more = std::exchange(repeat, false);
      reading = more;
      if (!more && done) done();
    }
  }

  result read_once() noexcept {
    try {
      return read(path);
    } catch (const std::exception&) { // short enough to need no memory of its own
      return config::token_file_fault{"no memory left"};
    }
  }

  const std::string path;
  const read_function read;
  std::mutex mutex; // guards all below
  std::function<void()> done;
  std::optional<result> found;
  bool reading = false;
  bool repeat = false;
};

token_reader::token_reader(std::string path, std::function<void()> done, read_function read)
    : state_(std::make_shared<state>(std::move(path), std::move(done), std::move(read))) {}

token_reader::~token_reader() {
  const std::lock_guard lock{state_->mutex};
  state_->done = nullptr; // what it calls may be destroyed after this
}

bool token_reader::begin() {
  const std::lock_guard lock{state_->mutex};
  if (state_->reading) {
    state_->repeat = true;
    return false;
  }
  std::thread{[shared = state_] { shared->run(); }}.detach();
  state_->reading = true;
  return true;
}

std::optional<token_reader::result> token_reader::take() {
  const std::lock_guard lock{state_->mutex};
  return std::exchange(state_->found, std::nullopt);
}

} // namespace kvcache::daemon
