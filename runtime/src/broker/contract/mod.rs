//! The suite that every [`Broker`] passes, so that one can stand for another.
//!
//! [`run`](crate::broker::contract::run) is called by each implementation's own test. No case waits for time to pass: that
//! something did *not* arrive is shown by a later marker that did.

mod bars;

mod closes;

mod fence;

mod leases;

mod open;

mod renewal;

mod retention;

mod traces;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wire::Scope;

use super::Bus as AnyBus;
use bars::Bus;

/// What a bus drops when it holds as many closes as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// The oldest of all: a reader that falls off is told which sequences it lost.
    Overall,
    /// The oldest of the topic that gets a new one: the log has holes, and a reader that falls off
    /// finds them by `close_no`.
    PerTopic,
}

/// Runs every case on a bus of its own. `make` is given the bus's scope, another one each time, and
/// how many closes it shall hold in the way of `retention`; it returns an empty one.
///
/// # Panics
/// When a case fails, after naming it.
pub async fn run<F, B>(retention: Retention, make: F)
where
    F: Fn(Scope, usize) -> B,
    B: Future<Output = Arc<dyn AnyBus>>,
{
    let mut count = 0_usize;
    let mut new_bus = async || {
        count += 1;
        // Two valid words, whatever the number.
        let scope = Scope::new(&format!("contract-{count}"), "eu");
        let scope = scope.unwrap_or_else(|error| panic!("{error}"));
        Bus::new(make(scope.clone(), CLOSES_MAX).await, scope)
    };
    macro_rules! cases {
        ($($module:ident::$case:ident),* $(,)?) => {$(
            let name = concat!(stringify!($module), "::", stringify!($case));
            within(name, $module::$case(new_bus().await)).await;
        )*};
    }
    cases![
        open::a_subscriber_gets_the_last_values_then_what_comes,
        open::an_overtaken_bar_never_replaces_a_newer_one,
        open::a_slow_subscriber_gets_the_newest_only,
        open::filters_choose_by_venue_interval_and_symbol,
        open::scopes_and_kinds_do_not_mix,
        open::subscribers_are_independent,
        open::a_dropped_drain_loses_nothing,
        open::a_stream_never_goes_backwards_while_others_publish,
        open::a_closed_bar_is_refused,
        open::the_bus_ends,
        closes::a_reader_gets_all_in_order_with_sequences,
        closes::a_batch_is_all_or_nothing,
        closes::a_long_batch_is_refused,
        closes::an_open_bar_is_refused,
        closes::filters_choose_and_sequences_skip,
        closes::readers_begin_where_they_ask,
        closes::a_reader_resumes_by_sequence,
        closes::a_place_beyond_the_end_is_refused,
        closes::a_place_in_another_log_is_refused,
        closes::a_dropped_drain_loses_nothing,
        closes::a_waiting_reader_is_woken,
        closes::replay_of_one_topic,
        closes::the_bus_ends,
        fence::a_stale_expectation_is_refused_whole,
        fence::what_is_there_is_not_made_anew,
        fence::of_two_owners_one_wins_each_time,
        fence::a_commit_of_checkpoints_alone_takes_over,
        fence::closes_come_with_their_checkpoints,
        fence::checkpoints_read_back_in_order,
        fence::a_repeated_commit_is_refused_and_the_checkpoints_tell,
        leases::a_lease_is_made_once_and_changed_by_who_knows_it,
        leases::of_two_takers_one_wins,
        traces::a_sampled_bar_comes_with_its_trace_and_no_other_does,
    ];
    match retention {
        Retention::Overall => {
            cases![
                retention::a_reader_that_falls_off_is_told_what_it_lost,
                retention::publishers_wait_for_no_reader_and_tell_it,
                retention::replay_says_what_has_aged_out_of_all,
            ];
        }
        Retention::PerTopic => {
            cases![
                retention::a_reader_that_falls_off_finds_the_oldest_of_its_topic,
                retention::publishers_wait_for_no_reader,
                retention::other_topics_push_nothing_out,
            ];
        }
    }
    cases![retention::replay_says_what_has_aged_out];
}

/// Runs the case of a log that is made anew under its readers, on an empty bus of this scope. `renew` removes the log
/// and makes it again, as what removes a feed and a publisher that starts after it do.
///
/// # Panics
/// When the case fails.
pub async fn run_renewal(scope: Scope, bus: Arc<dyn AnyBus>, renew: impl AsyncFnOnce()) {
    let bus = Bus::new(bus, scope);
    let case = renewal::readers_of_the_old_log_are_told(bus, renew);
    within("renewal::readers_of_the_old_log_are_told", case).await;
}

/// Closes a bus under test holds: few, so that a case can outrun them.
const CLOSES_MAX: usize = 20;

/// A case that hangs shall fail with its name; the wait is for the slowest machine, and no case
/// depends on its length.
async fn within(name: &str, case: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(Duration::from_secs(60), case).await;
    assert!(ended.is_ok(), "{name} hangs");
}
