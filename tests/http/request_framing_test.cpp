// How the end of a request is found: Content-Length, Transfer-Encoding, chunks, Expect.
#include "http/request_parser.hpp"

#include "http/parsing.hpp"

#include <algorithm>
#include <span>

namespace kvcache::http::testing {
namespace {

const http_limits defaults;

std::string chunked(std::string_view chunks) {
  return post_with("Transfer-Encoding: chunked\r\n", chunks);
}

// ---- Content-Length (RFC 9110 §8.6, RFC 9112 §6.3) -----------------------------------

TEST(request_framing, accepts_as_many_bytes_as_content_length_says) {
  const std::string text = post_with("Content-Length: 5\r\n", "hello");
  const parsed got = parse(text + "GET ");
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.framing, body_framing::content_length);
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.consumed, text.size());
}

TEST(request_framing, accepts_an_empty_body_and_leading_zeros) {
  const parsed empty = parse(post_with("Content-Length: 0\r\n", "more"));
  EXPECT_EQ(empty.status, parse_status::complete);
  EXPECT_EQ(empty.framing, body_framing::content_length);
  EXPECT_EQ(empty.body, "");
  EXPECT_EQ(parse(post_with("Content-Length: 0000000000000000000000002\r\n", "ab")).body, "ab");
}

TEST(request_framing, has_no_body_without_a_length) { // RFC 9112 §6.3
  const parsed got = parse(post_with("", "GET / HTTP/1.1\r\n"));
  EXPECT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.framing, body_framing::none);
  EXPECT_EQ(got.body, "");
}

TEST(request_framing, refuses_every_content_length_that_is_not_one_number) {
  for (const std::string value :
       {"", "+5", "-5", "5 5", "0x5", "5,5", "5, 5", ",5", "5,", "5.0", "five",
        "18446744073709551616", "99999999999999999999999", "5;a", "\"5\""}) {
    EXPECT_EQ(why_refused(post_with("Content-Length: " + value + "\r\n", "hello")),
              "bad_content_length")
        << value;
  }
}

TEST(request_framing, refuses_a_repeated_content_length_even_with_the_same_number) {
  EXPECT_EQ(why_refused(post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
            "repeated_content_length");
  EXPECT_EQ(why_refused(post_with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
            "repeated_content_length");
}

TEST(request_framing, refuses_a_body_over_the_limit_before_reading_it) { // RFC 9110 §15.5.14
  const http_limits limits;
  const auto with_length = [](std::size_t bytes) {
    return post_with("Content-Length: " + std::to_string(bytes) + "\r\n", "");
  };
  EXPECT_EQ(why_refused(with_length(limits.body_bytes)), "(needs more)");
  EXPECT_EQ(why_refused(with_length(limits.body_bytes + 1)), "body_too_large");
  EXPECT_EQ(why_refused(post_with("Content-Length: 18446744073709551615\r\n", "")),
            "body_too_large");
}

// ---- Transfer-Encoding (RFC 9112 §6.1) -----------------------------------------------

// RFC 9112 §6.1, §6.3: ambiguous before anything else, whether the coding is known or not.
TEST(request_framing, refuses_length_and_transfer_encoding_together_in_any_order) {
  const std::string length = "Content-Length: 5\r\n";
  for (const std::string coding : {"chunked", "gzip", "gzip, chunked", "identity"}) {
    const std::string transfer_encoding = "Transfer-Encoding: " + coding + "\r\n";
    for (const std::string between : {"", "X: y\r\n"})
      for (const std::string& fields :
           {length + between + transfer_encoding, transfer_encoding + between + length})
        EXPECT_EQ(why_refused(post_with(fields, "0\r\n\r\n")), "length_and_transfer_encoding")
            << fields;
  }
}

TEST(request_framing, refuses_what_is_malformed_before_a_coding_it_does_not_know) {
  EXPECT_EQ(why_refused("POST /put HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"), "missing_host");
  EXPECT_EQ(why_refused(post_with("Transfer-Encoding: gzip\r\nX : y\r\n", "")), "bad_field_line");
  EXPECT_EQ(why_refused("POST /put HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
            "transfer_encoding_in_http_1_0");
}

TEST(request_framing, refuses_transfer_codings_other_than_chunked) { // RFC 9112 §6.1
  for (const std::string value : {"gzip", "gzip, chunked", "identity", "xchunked", "chunkedx",
                                  "chunk", "gzip;q=1, chunked", "\"chunked\"", "chunked\x0b"}) {
    const std::string_view why =
        why_refused(post_with("Transfer-Encoding: " + value + "\r\n", "0\r\n\r\n"));
    EXPECT_EQ(why, value.back() == '\x0b' ? "bad_field_value" : "unknown_transfer_encoding")
        << value;
  }
}

TEST(request_framing, refuses_chunked_with_parameters_twice_or_not_last) { // RFC 9112 §6.3, §7.1
  for (const std::string value : {"chunked;q=1", "chunked, chunked", "chunked, gzip", "chunked;",
                                  "", ",", "gzip, chunked;a=b"}) {
    EXPECT_EQ(why_refused(post_with("Transfer-Encoding: " + value + "\r\n", "0\r\n\r\n")),
              "bad_transfer_encoding")
        << value;
  }
  EXPECT_EQ(why_refused(post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                  "0\r\n\r\n")),
            "bad_transfer_encoding");
}

TEST(request_framing, knows_chunked_in_any_case) {
  EXPECT_EQ(parse(post_with("transfer-encoding: Chunked\r\n", "1\r\na\r\n0\r\n\r\n")).body, "a");
}

TEST(request_framing, refuses_transfer_encoding_in_http_1_0) { // RFC 9112 §6.1
  EXPECT_EQ(why_refused("POST /put HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "transfer_encoding_in_http_1_0");
}

// ---- chunks (RFC 9112 §7.1) ----------------------------------------------------------

TEST(request_framing, joins_chunks) {
  const std::string text = chunked("5\r\nhello\r\n1\r\n,\r\n0006\r\n world\r\n0\r\n\r\n");
  const parsed got = parse(text + "GET ");
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.framing, body_framing::chunked);
  EXPECT_EQ(got.body, "hello, world");
  EXPECT_EQ(got.consumed, text.size());
}

TEST(request_framing, accepts_an_empty_chunked_body) {
  const parsed got = parse(chunked("0\r\n\r\n"));
  EXPECT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.body, "");
}

TEST(request_framing, ignores_chunk_extensions_and_trailers) { // RFC 9112 §7.1.1, §7.1.2
  const std::string text = chunked(
      "3;a\r\nabc\r\nA;b=c;d=\"e\\\" f\"\r\n0123456789\r\n0;last\r\nX-Sum: 1\r\nHost: evil\r\n"
      "Connection: close\r\nOrigin: x\r\n\r\n");
  const parsed got = parse(text);
  ASSERT_EQ(got.status, parse_status::complete);
  EXPECT_EQ(got.body, "abc0123456789");
  EXPECT_EQ(got.host, "cache");
  EXPECT_TRUE(got.keep_alive); // RFC 9110 §6.5.1: a trailer cannot change the framing
  EXPECT_FALSE(got.has_origin);
  EXPECT_EQ(got.consumed, text.size());
}

TEST(request_framing, refuses_malformed_chunks) {
  EXPECT_EQ(why_refused(chunked("x\r\na\r\n0\r\n\r\n")), "bad_chunk");
  EXPECT_EQ(why_refused(chunked("-1\r\na\r\n0\r\n\r\n")), "bad_chunk");
  EXPECT_EQ(why_refused(chunked("\r\na\r\n0\r\n\r\n")), "bad_chunk");
  EXPECT_EQ(why_refused(chunked("10000000000000000\r\na\r\n0\r\n\r\n")), "bad_chunk"); // overflow
  EXPECT_EQ(why_refused(chunked("0x1\r\na\r\n0\r\n\r\n")), "bad_chunk");
  EXPECT_EQ(why_refused(chunked("1\r\nabc\r\n0\r\n\r\n")), "bad_chunk");       // longer than said
  EXPECT_EQ(why_refused(chunked("3\r\na\r\n0\r\n\r\n\r\n\r\n")), "bad_chunk"); // shorter
  EXPECT_EQ(why_refused(chunked("1 \r\na\r\n0\r\n\r\n")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("1\ra\r\n0\r\n\r\n")), "bad_line_ending");
}

TEST(request_framing, refuses_a_chunk_that_cannot_become_valid_without_waiting_for_more) {
  for (const char* chunks : {"z",
                             "zz\r\n",
                             "\r\n",
                             "\r",
                             "\n",
                             "17\n",
                             "17\n{",
                             "1\na\n0\r\n\r\n",
                             "5\r\nhello\r\n0\n\n",
                             "5\r\nhello0",
                             "5\r\nhello\r0",
                             "5\r\nhello\n",
                             "5\r\nhello\r\nz",
                             "5\r\nhello\r\n\r\n",
                             "0\n\n",
                             "0;a\n",
                             "17zzz",
                             "0x",
                             "1g",
                             "0-",
                             "5\r\nhello\r\n0z"})
    EXPECT_EQ(why_refused(chunked(chunks)), "bad_chunk") << chunks;
  EXPECT_EQ(why_refused(chunked(std::string(20'000, 'z'))), "bad_chunk");
  EXPECT_EQ(why_refused(chunked("17 \tz")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("17\rz")), "bad_line_ending");
  EXPECT_EQ(why_refused(chunked("0\r\n\n")), "bad_line_ending");
  EXPECT_EQ(why_refused(chunked("0\r\nA: b\n")), "bad_line_ending");
  EXPECT_EQ(why_refused(chunked("0\r\nA: b\r\nC: d\n\r\n\r\n")), "bad_line_ending");
  EXPECT_EQ(why_refused(chunked("0\r\n\r\n\n\n")), "(accepted)"); // no more of this request
  EXPECT_EQ(why_refused(chunked("000\r\nA: b\r\n\r\nx\n")), "(accepted)");
  for (const char* chunks :
       {"", "1", "17", "17\r", "5\r\nhel\n", "5\r\nhello", "5\r\nhello\r", "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n\r", "0\r\nA: b\r\n\r", "aF;x", "1 ", "1 \t;x", "00000000000000000017"})
    EXPECT_EQ(why_refused(chunked(chunks)), "(needs more)") << chunks;
}

// RFC 9112 §2.2
TEST(request_framing, refuses_a_bare_carriage_return_without_waiting_for_more) {
  for (const char* chunks :
       {"0\r\n\rX", "0\r\n\rXXXX", "0\r\n\r\r", "0\r\nA: b\rX", "0\r\nA: b\r\r\n",
        "0\r\nA: b\r\r\n\r\n", "0\r\n\r\r\n", "0\r\nA\r:", "0\r\nA: b\r\nC: d\r\n\rX", "5;a\rX",
        "5;a=\"b\rX", "0;a\rX", "5;a\r\rhello"})
    EXPECT_EQ(why_refused(chunked(chunks)), "bad_line_ending") << chunks;
  for (const char* chunks : {"0\r\n\r", "0\r\nA: b\r", "0\r\nA: b\r\n", "0\r\nA: b\r\n\r",
                             "0\r\nA: b\r\n ", "5;a\r", "5;a\r\n\r\r\r"})
    EXPECT_EQ(why_refused(chunked(chunks)), "(needs more)") << chunks;
  EXPECT_EQ(why_refused(chunked("5;a\r\n\rX\rY\r\r\n0\r\n\r\n")), "(accepted)"); // it is body
}

TEST(request_framing, refuses_malformed_chunk_extensions) { // RFC 9112 §7.1.1
  EXPECT_EQ(why_refused(chunked("1;\r\na\r\n0\r\n\r\n")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("1;a=\r\na\r\n0\r\n\r\n")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("1;a=\"b\nc\"\r\na\r\n0\r\n\r\n")), "bad_chunk"); // a bare LF
  EXPECT_EQ(why_refused(chunked("1;a=\"b\x01\"\r\na\r\n0\r\n\r\n")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("1;a=\"b\x7f\"\r\na\r\n0\r\n\r\n")), "bad_chunk_extension");
  EXPECT_EQ(why_refused(chunked("1;a=\"b\tc\x80\"\r\na\r\n0\r\n\r\n")), "(accepted)");
}

TEST(request_framing, refuses_malformed_trailers) { // RFC 9112 §7.1.2
  EXPECT_EQ(why_refused(chunked("0\r\nA : b\r\n\r\n")), "bad_field_line");
  EXPECT_EQ(why_refused(chunked("0\r\nA: b\r\n c\r\n\r\n")), "folded_field");
  EXPECT_EQ(why_refused(chunked("0\r\nContent-Length: 5\r\n\r\n")), "length_and_transfer_encoding");
  EXPECT_EQ(why_refused(chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n")),
            "bad_transfer_encoding");
}

TEST(request_framing, enforces_the_body_limit_of_chunked_bodies) { // RFC 9110 §15.5.14
  http_limits limits;
  limits.body_bytes = 10;
  EXPECT_EQ(why_refused(chunked("A\r\n0123456789\r\n0\r\n\r\n"), limits), "(accepted)");
  EXPECT_EQ(why_refused(chunked("B\r\n"), limits), "(needs more)"); // five bytes are always to come
  EXPECT_EQ(why_refused(chunked("B\r\n01"), limits), "body_too_large"); // before reading them
  EXPECT_EQ(why_refused(chunked("5\r\n01234\r\n6\r\n0"), limits), "body_too_large");
  EXPECT_EQ(why_refused(chunked("FFFFFFFFFFFFFFFF\r\n"), limits), "body_too_large");
}

TEST(request_framing, holds_chunk_extensions_to_their_limit) {
  http_limits limits;
  limits.chunk_extension_bytes = 10;
  EXPECT_EQ(why_refused(chunked("1;a=" + std::string(7, 'x') + "\r\na\r\n0\r\n\r\n"), limits),
            "(accepted)");
  EXPECT_EQ(why_refused(chunked("1;a=" + std::string(8, 'x') + "\r\na\r\n0\r\n\r\n"), limits),
            "chunk_extension_too_long");
}

TEST(request_framing, enforces_the_limit_of_trailers) { // RFC 6585 §5
  const http_limits limits;
  const auto with_trailers = [](std::size_t count) {
    std::string text = "0\r\n";
    for (std::size_t i = 0; i < count; ++i) text += "A: b\r\n";
    return chunked(text + "\r\n");
  };
  EXPECT_EQ(why_refused(with_trailers(limits.trailer_fields)), "(accepted)");
  EXPECT_EQ(why_refused(with_trailers(limits.trailer_fields + 1)), "too_many_trailers");
}

TEST(request_framing, enforces_one_limit_for_all_chunk_framing) {
  http_limits limits;
  limits.chunk_overhead_bytes = 100;
  const auto tiny_chunks = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "1\r\na\r\n"; // five bytes of overhead each
    return chunked(text + "0\r\n\r\n");
  };
  EXPECT_EQ(parse(tiny_chunks(19), limits).body, std::string(19, 'a'));
  EXPECT_EQ(why_refused(tiny_chunks(20), limits), "chunk_overhead_too_large");
  // Also where no line end ever comes: an endless size, extension or trailer.
  EXPECT_EQ(why_refused(chunked(std::string(101, '0')), limits), "chunk_overhead_too_large");
  EXPECT_EQ(why_refused(chunked("1;" + std::string(99, 'a')), limits), "chunk_overhead_too_large");
  EXPECT_EQ(why_refused(chunked("0\r\nA: " + std::string(95, 'a')), limits),
            "chunk_overhead_too_large");
}

TEST(request_framing, decodes_chunks_inside_the_input_and_leaves_the_next_request_alone) {
  request_parser parser(defaults);
  const std::string next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  std::string input = chunked("3\r\nabc\r\n100;x=y\r\n" + std::string(256, 'd') + "\r\n0\r\n\r\n");
  const std::size_t request_bytes = input.size();
  input += next;
  const parse_result result = parser.parse(input);
  ASSERT_EQ(result.status, parse_status::complete);
  EXPECT_EQ(result.consumed, request_bytes);
  const std::string_view body = parser.current().body;
  EXPECT_EQ(body, "abc" + std::string(256, 'd'));
  EXPECT_EQ(body.data(), input.data() + input.find("\r\n\r\n") + 4);
  EXPECT_EQ(input.substr(request_bytes), next);
}

TEST(request_framing, continues_behind_framing_that_has_been_removed) {
  http_limits limits;
  limits.chunk_overhead_bytes = 100;
  const auto parse_shortened = [&](const std::string& text, std::size_t& longest) {
    request_parser parser(limits);
    std::string received;
    parse_result result;
    for (const char byte : text) {
      received.push_back(byte);
      longest = std::max(longest, received.size());
      result = parser.parse(received);
      if (result.status != parse_status::need_more) break;
      received.resize(received.size() - parser.remove_framing(received));
    }
    if (result.status == parse_status::complete) {
      EXPECT_EQ(result.consumed, received.size());
      EXPECT_EQ(parser.current().host, "cache");
      EXPECT_EQ(parser.current().body, std::string(30, 'a') + "bc");
    }
    return result.why;
  };
  const std::string many = [] {
    std::string chunks;
    for (int i = 0; i < 30; ++i) chunks += i % 2 == 0 ? "1\r\na" : "\r\n00001\r\na\r\n";
    return chunks;
  }();
  std::size_t longest = 0;
  EXPECT_EQ(parse_shortened(
                chunked("1e\r\n" + std::string(30, 'a') + "\r\n2;x=y\r\nbc\r\n0\r\nA: b\r\n\r\n"),
                longest),
            fault::none);
  EXPECT_LE(longest, chunked("").size() + 32 + std::string_view{"\r\n0\r\nA: b\r\n\r\n"}.size());
  EXPECT_EQ(parse_shortened(chunked(many), longest), fault::chunk_overhead_too_large);
}

// ---- Expect (RFC 9110 §10.1.1) -------------------------------------------------------

TEST(request_framing, offers_100_continue_once_and_only_while_the_body_is_missing) {
  std::string text = post_with("Content-Length: 3\r\nExpect: 100-Continue\r\n", "abc");
  const std::size_t head = text.size() - 3;
  request_parser parser(defaults);
  ASSERT_EQ(parser.parse(std::span(text).first(head - 1)).status, parse_status::need_more);
  EXPECT_FALSE(parser.take_100_continue());
  ASSERT_EQ(parser.parse(std::span(text).first(head)).status, parse_status::need_more);
  EXPECT_TRUE(parser.take_100_continue());
  EXPECT_FALSE(parser.take_100_continue());
  ASSERT_EQ(parser.parse(text).status, parse_status::complete);
}

TEST(request_framing, refuses_a_large_body_before_it_offers_100_continue) {
  EXPECT_EQ(why_refused(post_with("Content-Length: 1000000\r\nExpect: 100-continue\r\n", "")),
            "body_too_large");
}

TEST(request_framing, offers_100_continue_for_chunks_but_not_without_a_body_nor_in_http_1_0) {
  const auto offers = [](std::string text) {
    request_parser parser(defaults);
    EXPECT_NE(parser.parse(text).status, parse_status::refused);
    return parser.take_100_continue();
  };
  EXPECT_TRUE(offers(post_with("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "")));
  EXPECT_FALSE(offers(post_with("Expect: 100-continue\r\n", "")));
  EXPECT_FALSE(offers("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
}

TEST(request_framing, accepts_the_same_expectation_several_times) {
  for (const char* fields :
       {"Expect: 100-continue, 100-Continue\r\n", "Expect: ,100-continue ,\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n"}) {
    request_parser parser(defaults);
    std::string text = post_with(std::string("Content-Length: 3\r\n") + fields, "");
    EXPECT_EQ(parser.parse(text).status, parse_status::need_more);
    EXPECT_TRUE(parser.take_100_continue()) << fields;
    EXPECT_FALSE(parser.take_100_continue()) << fields;
  }
}

TEST(request_framing, refuses_expectations_it_cannot_meet) {
  for (const char* value : {"200-ok", "", ",", "100-continue, 200-ok", "200-ok, 100-continue",
                            "100-continue;a=b", "100-continue 100-continue"})
    EXPECT_EQ(why_refused(get_with("Expect: " + std::string(value) + "\r\n")),
              "unknown_expectation")
        << value;
}

} // namespace
} // namespace kvcache::http::testing
