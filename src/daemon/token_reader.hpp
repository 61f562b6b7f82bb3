// Reads the token file on a thread of its own: on a file system that does not answer (a network
// mount whose server is gone) a read may block for good, and neither signals nor the end of the
// process may wait for it.
//
// Thread-safety: begin() and take() for one thread, which also destroys it.
// Ownership: a reading thread is detached and shares what it touches; the destructor does not wait.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "daemon/token_file.hpp"

namespace kvcache::daemon {

class token_reader {
public:
  using result = std::variant<config::token_file, config::token_file_fault>;
  using read_function = std::function<result(const std::string& path)>;

  // `done` is called on the reading thread when there is something to take; must not throw.
  token_reader(std::string path, std::function<void()> done,
               read_function read = config::read_token_file);
  ~token_reader();
  token_reader(const token_reader&) = delete;
  token_reader& operator=(const token_reader&) = delete;

  // Starts reading. False where an earlier read is still under way: then the file is read once more
  // after it. Throws std::system_error where no thread can be had.
  bool begin();

  // What was read, once; nothing until it is there.
  std::optional<result> take();

private:
  struct state;

  const std::shared_ptr<state> state_;
};

} // namespace kvcache::daemon
