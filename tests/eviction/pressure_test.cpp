#include "eviction/pressure.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvcache {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
constexpr std::uint64_t limit = 1000 * mib;
constexpr pressure_options defaults;

memory_reading reading_of(std::uint64_t used_bytes, std::uint64_t limit_bytes = limit) {
  return {.used_bytes = used_bytes, .limit_bytes = limit_bytes, .source = "test"};
}

// A cache that holds content and nothing else.
own_bytes full_of(std::uint64_t content) { return {.held = content, .content = content}; }

pressure_decision decide_once(std::uint64_t used, const own_bytes& own,
                              pressure_history history = {}) {
  return decide(reading_of(used), own, defaults, history);
}

std::uint64_t allowance_at(std::uint64_t used, const own_bytes& own) {
  return allowance_bytes(reading_of(used), own, defaults);
}

TEST(pressure, evicts_nothing_up_to_seventy_percent) {
  for (std::uint64_t percent = 0; percent <= 70; ++percent) {
    const auto decision = decide_once(percent * 10 * mib, full_of(percent * 10 * mib));
    EXPECT_EQ(decision.evict_bytes, 0U) << percent;
    EXPECT_EQ(decision.tier, pressure_tier::normal) << percent;
  }
}

TEST(pressure, begins_just_above_seventy_percent_and_gently) {
  const auto decision = decide_once(701 * mib, full_of(701 * mib));
  EXPECT_EQ(decision.tier, pressure_tier::pressure);
  EXPECT_EQ(decision.evict_bytes, mib);
  const auto further = decide_once(720 * mib, full_of(720 * mib));
  EXPECT_GT(further.evict_bytes, mib);
  EXPECT_LT(further.evict_bytes, 2 * mib);
}

TEST(pressure, evicts_faster_the_nearer_the_emergency) {
  std::uint64_t before = 0;
  for (std::uint64_t percent = 71; percent < 95; ++percent) {
    const auto decision = decide_once(percent * 10 * mib, full_of(percent * 10 * mib));
    EXPECT_GE(decision.evict_bytes, before) << percent;
    before = decision.evict_bytes;
  }
  EXPECT_GT(before, 10 * mib);
  EXPECT_LE(before, 250 * mib / 20); // 5 % of the band
}

TEST(pressure, free_blocks_in_the_cache_are_not_use) {
  const own_bytes half_empty{.held = 600 * mib, .content = 300 * mib};
  const auto decision = decide_once(900 * mib, half_empty);
  EXPECT_EQ(decision.tier, pressure_tier::normal); // 600 of 1000 MiB are really in use
  EXPECT_EQ(decision.evict_bytes, 0U);
}

TEST(pressure, buffers_of_connections_count_against_the_allowance) {
  const own_bytes own{.held = 600 * mib, .content = 600 * mib, .buffers = 150 * mib};
  const auto decision = decide_once(750 * mib, own);
  EXPECT_EQ(decision.tier, pressure_tier::pressure);
  EXPECT_EQ(allowance_at(750 * mib, own), 550 * mib);
}

TEST(pressure, what_others_use_shrinks_the_allowance) {
  EXPECT_EQ(allowance_at(500 * mib, full_of(300 * mib)), 500 * mib);
  EXPECT_EQ(allowance_at(800 * mib, full_of(300 * mib)), 200 * mib);
}

TEST(pressure, stops_at_the_floor_where_others_hold_the_memory) {
  const auto above = decide_once(940 * mib, full_of(60 * mib));
  EXPECT_EQ(allowance_at(940 * mib, full_of(60 * mib)), 50 * mib);
  EXPECT_GT(above.evict_bytes, 0U);
  EXPECT_LE(above.evict_bytes, 10 * mib);
  const auto at = decide_once(940 * mib, full_of(50 * mib));
  EXPECT_EQ(at.evict_bytes, 0U);
  EXPECT_EQ(at.tier, pressure_tier::pressure);
}

TEST(pressure, an_emergency_is_confirmed_before_it_purges) {
  const auto first = decide_once(960 * mib, full_of(800 * mib));
  EXPECT_EQ(first.tier, pressure_tier::emergency);
  EXPECT_FALSE(first.purge);
  EXPECT_TRUE(first.confirm);
  const auto second = decide_once(960 * mib, full_of(800 * mib), first.history);
  EXPECT_TRUE(second.purge);
  EXPECT_FALSE(second.confirm);
  EXPECT_EQ(second.evict_bytes, (960 - 700) * mib); // all that is too much, at once
}

TEST(pressure, a_purge_that_has_not_lowered_use_yet_is_not_repeated) {
  auto decision = decide_once(960 * mib, full_of(800 * mib));
  decision = decide_once(960 * mib, full_of(800 * mib), decision.history);
  ASSERT_TRUE(decision.purge);
  // The pages are still ours: U stays, the content has gone down to what it may have.
  const own_bytes purged{.held = 800 * mib, .content = 540 * mib};
  for (int tick = 0; tick < 50; ++tick) {
    decision = decide_once(960 * mib, purged, decision.history);
    EXPECT_EQ(decision.evict_bytes, 0U);
    EXPECT_FALSE(decision.purge);
  }
  EXPECT_EQ(decision.tier, pressure_tier::emergency);
}

TEST(pressure, each_purge_needs_two_new_readings) {
  pressure_history history;
  int purges = 0;
  for (int readings = 0; readings < 10; ++readings) {
    const auto decision = decide_once(960 * mib, full_of(800 * mib), history);
    purges += decision.purge ? 1 : 0;
    history = decision.history;
  }
  EXPECT_EQ(purges, 5);
}

TEST(pressure, an_emergency_nears_the_limit_when_use_is_closer_to_it_than_to_the_mark) {
  EXPECT_FALSE(decide_once(940 * mib, full_of(700 * mib)).nears_limit);
  EXPECT_FALSE(decide_once(974 * mib, full_of(700 * mib)).nears_limit);
  EXPECT_TRUE(decide_once(975 * mib, full_of(700 * mib)).nears_limit);
}

TEST(pressure, an_emergency_nears_the_limit_when_its_rise_predicts_that) {
  const pressure_history before{.tier = pressure_tier::emergency, .used_bytes = 955 * mib};
  const auto nears_limit = [&](std::uint64_t used, std::uint64_t elapsed_us) {
    return decide(reading_of(used), full_of(700 * mib), defaults, before, elapsed_us).nears_limit;
  };
  EXPECT_TRUE(nears_limit(960 * mib, 20'000));   // 250 MiB a second: 985 in 100 ms
  EXPECT_FALSE(nears_limit(960 * mib, 100'000)); // 50 MiB a second: 965
  EXPECT_FALSE(nears_limit(955 * mib, 20'000));
  EXPECT_FALSE(nears_limit(956 * mib, 1)); // noise of two readings at once
}

TEST(pressure, the_jump_into_an_emergency_predicts_nothing) {
  const pressure_history before{.tier = pressure_tier::pressure, .used_bytes = 700 * mib};
  EXPECT_FALSE(decide_once(955 * mib, full_of(700 * mib), before).nears_limit);
}

TEST(pressure, a_single_glitch_of_a_reading_causes_no_purge) {
  auto decision = decide_once(990 * mib, full_of(600 * mib));
  decision = decide_once(600 * mib, full_of(600 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::normal);
  decision = decide_once(990 * mib, full_of(600 * mib), decision.history);
  EXPECT_FALSE(decision.purge);
}

TEST(pressure, tiers_are_left_later_than_they_are_entered) {
  auto decision = decide_once(710 * mib, full_of(710 * mib));
  decision = decide_once(690 * mib, full_of(690 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::pressure);
  EXPECT_EQ(decision.evict_bytes, 0U); // but below 70 % nothing leaves, whatever the tier
  decision = decide_once(679 * mib, full_of(679 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::normal);
  decision = decide_once(699 * mib, full_of(699 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::normal);

  decision = decide_once(950 * mib, full_of(700 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::emergency);
  decision = decide_once(931 * mib, full_of(700 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::emergency);
  decision = decide_once(929 * mib, full_of(700 * mib), decision.history);
  EXPECT_EQ(decision.tier, pressure_tier::pressure);
}

TEST(pressure, is_not_left_until_freed_pages_have_been_returned) {
  const own_bytes own{.held = 730 * mib, .content = 660 * mib};
  const pressure_history pressed{.tier = pressure_tier::pressure};
  EXPECT_EQ(decide_once(730 * mib, own, pressed).tier, pressure_tier::pressure);
  EXPECT_EQ(decide_once(730 * mib, own, pressed).evict_bytes, 0U);
  EXPECT_EQ(decide_once(730 * mib, own).tier, pressure_tier::normal); // nor entered for them
  const own_bytes returned{.held = 660 * mib, .content = 660 * mib};
  EXPECT_EQ(decide_once(660 * mib, returned, pressed).tier, pressure_tier::normal);
}

TEST(pressure, survives_inconsistent_readings) {
  for (const std::uint64_t used : {std::uint64_t{0}, limit, 10 * limit, std::uint64_t{1} << 59}) {
    for (const std::uint64_t content : {std::uint64_t{0}, limit, std::uint64_t{1} << 59}) {
      const auto decision = decide_once(used, full_of(content));
      EXPECT_LE(decision.evict_bytes, content);
      EXPECT_GE(allowance_at(used, full_of(content)), limit / 20);
    }
  }
  EXPECT_LE(decide(reading_of(1, 1), full_of(5), defaults, {}).evict_bytes, 5U);
}

// ---- the mark between two readings ---------------------------------------------------

std::uint64_t hold_limit_of(const std::vector<memory_reading>& levels, const own_bytes& own,
                            pressure_tier tier = pressure_tier::normal) {
  return hold_limit_bytes(levels, own, tier, defaults);
}

TEST(hold_limit, is_seventy_two_percent_minus_what_others_use) {
  EXPECT_EQ(hold_limit_of({reading_of(300 * mib)}, full_of(200 * mib)), 620 * mib);
}

// The container is the fuller one by U, but by free room of the cache's own, which weighs less on
// the host: there it is others that crowd the content.
TEST(all_levels, the_level_that_requires_most_eviction_decides_even_if_another_is_fuller) {
  const own_bytes own{.held = 200 * mib, .content = 100 * mib};
  const std::vector<memory_reading> levels{reading_of(410 * mib, 500 * mib),   // U 82 %, E 62 %
                                           reading_of(810 * mib, 1000 * mib)}; // U 81 %, E 71 %
  std::vector<pressure_history> histories;
  const pressure_verdict verdict = decide_for_all(levels, own, defaults, histories);
  EXPECT_EQ(verdict.decisive, 1U);
  EXPECT_EQ(verdict.decision.tier, pressure_tier::pressure);
  EXPECT_EQ(verdict.decision.evict_bytes,
            decide(levels[1], own, defaults, {}).evict_bytes); // and that is not 0
  EXPECT_GT(verdict.decision.evict_bytes, 0U);
}

TEST(all_levels, a_level_that_was_never_short_is_not_kept_in_a_tier_by_anothers_history) {
  const own_bytes own = full_of(10 * mib);
  std::vector<pressure_history> histories;
  const memory_reading calm = reading_of(690 * mib);
  EXPECT_EQ(
      decide_for_all(std::vector{calm, reading_of(360 * mib, 500 * mib)}, own, defaults, histories)
          .decision.tier,
      pressure_tier::pressure);
  EXPECT_EQ(
      decide_for_all(std::vector{calm, reading_of(300 * mib, 500 * mib)}, own, defaults, histories)
          .decision.tier,
      pressure_tier::normal);
}

TEST(all_levels, glitches_of_two_levels_in_turn_do_not_confirm_an_emergency) {
  const own_bytes own = full_of(200 * mib);
  std::vector<pressure_history> histories;
  const memory_reading calm = reading_of(300 * mib);
  const memory_reading full = reading_of(960 * mib);
  const auto first = decide_for_all(std::vector{full, calm}, own, defaults, histories);
  EXPECT_TRUE(first.decision.confirm);
  EXPECT_EQ(first.decisive, 0U);
  const auto second = decide_for_all(std::vector{calm, full}, own, defaults, histories);
  EXPECT_TRUE(second.decision.confirm);
  EXPECT_FALSE(second.decision.purge);
  EXPECT_EQ(second.decisive, 1U);
  EXPECT_TRUE(decide_for_all(std::vector{calm, full}, own, defaults, histories).decision.purge);
}

TEST(all_levels, a_changed_number_of_levels_resets_their_histories) {
  const own_bytes own = full_of(200 * mib);
  std::vector<pressure_history> histories;
  decide_for_all(std::vector{reading_of(960 * mib)}, own, defaults, histories);
  const auto verdict = decide_for_all(std::vector{reading_of(960 * mib), reading_of(300 * mib)},
                                      own, defaults, histories);
  EXPECT_FALSE(verdict.decision.purge);
  EXPECT_EQ(histories.size(), 2U);
}

TEST(level_to_show, is_the_one_with_the_fewest_bytes_left_in_the_normal_tier) {
  const std::vector<memory_reading> levels{reading_of(2400 * mib, 24'000 * mib), // 10 % in use
                                           reading_of(5 * mib, 256 * mib)};      // 2 % in use
  EXPECT_EQ(level_to_show(levels, 0, pressure_tier::normal, defaults), 1U);
}

TEST(level_to_show, is_the_decisive_one_once_memory_is_short) {
  const std::vector<memory_reading> levels{reading_of(18'000 * mib, 24'000 * mib),
                                           reading_of(5 * mib, 256 * mib)};
  EXPECT_EQ(level_to_show(levels, 0, pressure_tier::pressure, defaults), 0U);
  EXPECT_EQ(level_to_show(levels, 0, pressure_tier::normal, defaults), 0U); // no room at all there
}

TEST(hold_limit, is_the_lowest_over_all_levels_not_the_fullest_ones) {
  const own_bytes own = full_of(10 * mib);
  const std::vector<memory_reading> levels{reading_of(20 * mib, 100 * mib),      // 20 %
                                           reading_of(5000 * mib, 10000 * mib)}; // 50 %
  EXPECT_EQ(hold_limit_of(levels, own), 62 * mib);
}

TEST(hold_limit, is_stretched_a_little_by_unused_free_blocks) {
  const own_bytes stranded{.held = 800 * mib, .content = 710 * mib};
  EXPECT_EQ(hold_limit_of({reading_of(800 * mib)}, stranded), 750 * mib);
  EXPECT_EQ(hold_limit_of({reading_of(800 * mib)}, stranded, pressure_tier::pressure), 730 * mib);
}

TEST(hold_limit, lets_content_grow_to_seventy_percent_beside_all_free_blocks) {
  const own_bytes stranded{.held = 700 * mib, .content = 600 * mib};
  EXPECT_EQ(hold_limit_of({reading_of(700 * mib)}, stranded), 800 * mib);
  EXPECT_EQ(hold_limit_of({reading_of(700 * mib)}, stranded, pressure_tier::pressure), 800 * mib);
  EXPECT_EQ(hold_limit_of({reading_of(750 * mib)}, stranded), 750 * mib); // others have 50
}

TEST(hold_limit, stays_below_the_emergency_mark_however_many_blocks_are_free) {
  const own_bytes stranded{.held = 700 * mib, .content = 300 * mib};
  EXPECT_EQ(hold_limit_of({reading_of(700 * mib)}, stranded), 900 * mib);
  EXPECT_EQ(hold_limit_of({reading_of(700 * mib)}, stranded, pressure_tier::emergency), 730 * mib);
}

TEST(growth_bounds, are_the_lowest_over_all_levels) {
  const own_bytes own{.held = 400 * mib, .content = 300 * mib};
  const std::vector<memory_reading> levels{reading_of(500 * mib),               // 100 are others'
                                           reading_of(2400 * mib, 4000 * mib)}; // 2,000 are
  const growth_bounds bounds = bounds_of_growth(levels, own, defaults);
  EXPECT_EQ(bounds.content, 600 * mib);
  EXPECT_EQ(bounds.held, 800 * mib);
  EXPECT_FALSE(bounds.holds_too_much);
}

TEST(growth_bounds, report_when_the_stores_own_free_blocks_make_memory_short) {
  EXPECT_TRUE(bounds_of_growth(std::vector{reading_of(760 * mib)},
                               {.held = 700 * mib, .content = 600 * mib}, defaults)
                  .holds_too_much);
  EXPECT_FALSE(bounds_of_growth(std::vector{reading_of(760 * mib)}, full_of(700 * mib), defaults)
                   .holds_too_much);
}

TEST(hold_limit, never_lets_use_grow_beyond_the_emergency_mark) {
  // Others hold 94 %: the floor would allow 50 MiB, but only 10 are left to the mark.
  EXPECT_EQ(hold_limit_of({reading_of(940 * mib)}, {}), 10 * mib);
  EXPECT_EQ(hold_limit_of({reading_of(970 * mib)}, full_of(30 * mib)), 30 * mib);
}

TEST(hold_limit, is_never_zero_which_would_mean_none) {
  EXPECT_EQ(hold_limit_of({reading_of(limit)}, {}), 1U);
}

TEST(floor, is_a_share_of_the_limit_and_some_pages_at_least) {
  EXPECT_EQ(floor_bytes(limit, defaults), 50 * mib);
  EXPECT_EQ(floor_bytes(10 * mib, defaults), mib);
}

// ---- what can be wrong at start ------------------------------------------------------

TEST(pressure_options, defaults_are_sound) { EXPECT_EQ(find_fault(defaults), std::nullopt); }

TEST(pressure_options, out_of_order_or_range_are_named) {
  EXPECT_THAT(find_fault({.pressure_percent = 95, .emergency_percent = 70}).value_or(""),
              HasSubstr("must be below --emergency-percent"));
  EXPECT_THAT(find_fault({.pressure_percent = 80, .emergency_percent = 80}).value_or(""),
              HasSubstr("must be below"));
  EXPECT_THAT(find_fault({.pressure_percent = 9}).value_or(""), HasSubstr("from 10 to 95"));
  EXPECT_THAT(find_fault({.emergency_percent = 99}).value_or(""), HasSubstr("from 11 to 98"));
  EXPECT_THAT(find_fault({.floor_percent = 0}).value_or(""), HasSubstr("--floor-percent"));
  EXPECT_THAT(find_fault({.floor_percent = 70}).value_or(""), HasSubstr("--floor-percent"));
}

TEST(limit_too_small, is_one_that_the_empty_process_already_fills) {
  const std::vector<memory_reading> levels{reading_of(400 * mib), reading_of(9 * mib, 10 * mib)};
  EXPECT_EQ(find_limit_too_small(levels, 9 * mib, defaults), std::nullopt);
  const auto fault = find_limit_too_small(levels, 10 * mib, defaults);
  ASSERT_TRUE(fault);
  EXPECT_THAT(*fault, HasSubstr("memory limit of 10 MiB (test)"));
}

} // namespace
} // namespace kvcache
