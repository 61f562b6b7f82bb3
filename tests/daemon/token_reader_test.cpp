#include "daemon/token_reader.hpp"

#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>

namespace kvcache::daemon {
namespace {

config::token_file file_with(const std::string& secret) {
  return {{{secret, http::permission::read}}, {}};
}

TEST(token_reader, reads_on_another_thread_and_returns_the_result_once) {
  std::promise<void> done;
  token_reader reader{"path", [&done] { done.set_value(); },
                      [](const std::string& path) { return file_with(path); }};
  EXPECT_FALSE(reader.take());
  EXPECT_TRUE(reader.begin());
  done.get_future().wait();
  const auto read = reader.take();
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<config::token_file>(*read).tokens.front().secret, "path");
  EXPECT_FALSE(reader.take());
}

// Outlives the reader, like a read that a file system blocks.
struct blocked_read {
  std::latch begun{1};
  std::promise<void> open;
  std::promise<void> over;
};

TEST(token_reader, is_destroyed_during_a_blocked_read_and_makes_no_call_afterwards) {
  const auto blocked = std::make_shared<blocked_read>();
  {
    token_reader reader{"", [blocked] { ADD_FAILURE() << "called after its end"; },
                        [blocked](const std::string&) {
                          blocked->begun.count_down();
                          blocked->open.get_future().wait();
                          blocked->over.set_value_at_thread_exit();
                          return file_with("a");
                        }};
    reader.begin();
    blocked->begun.wait();
    EXPECT_FALSE(reader.take());
  }
  blocked->open.set_value();
  blocked->over.get_future().wait();
}

TEST(token_reader, reads_again_after_a_request_during_a_read) {
  std::latch begun{1};
  std::promise<void> open;
  std::promise<void> done;
  int reads = 0; // of the reading thread, until it is done
  token_reader reader{"", [&done] { done.set_value(); },
                      [&](const std::string&) {
                        if (reads++ == 0) {
                          begun.count_down();
                          open.get_future().wait();
                        }
                        return file_with(std::to_string(reads));
                      }};
  EXPECT_TRUE(reader.begin());
  begun.wait();
  EXPECT_FALSE(reader.begin());
  EXPECT_FALSE(reader.begin());
  open.set_value();
  done.get_future().wait();
  EXPECT_EQ(std::get<config::token_file>(*reader.take()).tokens.front().secret, "2");
}

TEST(token_reader, reports_a_lack_of_memory_as_a_fault) {
  std::promise<void> done;
  token_reader reader{"", [&done] { done.set_value(); },
                      [](const std::string&) -> token_reader::result { throw std::bad_alloc{}; }};
  reader.begin();
  done.get_future().wait();
  EXPECT_TRUE(std::holds_alternative<config::token_file_fault>(*reader.take()));
}

} // namespace
} // namespace kvcache::daemon
