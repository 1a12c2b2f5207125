//! The suite that every [`Broker`] passes, so that one can stand for another.
//!
//! [`run`] is called by each implementation's own test. No case waits for time to pass: that
//! something did *not* arrive is shown by a later marker that did.

mod bars;

mod closes;

mod open;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use bars::Bus;

/// Runs every case on a bus of its own. `make` is given how many closes the bus shall hold and
/// returns an empty one.
///
/// # Panics
/// When a case fails, after naming it.
pub async fn run<F, B>(make: F)
where
    F: Fn(usize) -> B,
    B: Future<Output = Arc<dyn Broker>>,
{
    macro_rules! cases {
        ($($module:ident::$case:ident),* $(,)?) => {$(
            let name = concat!(stringify!($module), "::", stringify!($case));
            let bus = Bus::new(make(CLOSES_MAX).await);
            within(name, $module::$case(bus)).await;
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
        closes::a_break_in_close_no_is_refused,
        closes::a_fallen_epoch_is_fenced_off,
        closes::a_long_batch_is_refused,
        closes::an_open_bar_is_refused,
        closes::filters_choose_and_sequences_skip,
        closes::readers_begin_where_they_ask,
        closes::a_reader_resumes_by_sequence,
        closes::a_place_beyond_the_end_is_refused,
        closes::a_reader_that_falls_off_is_told_what_it_lost,
        closes::readers_are_independent_and_publishers_wait_for_none,
        closes::a_dropped_drain_loses_nothing,
        closes::a_waiting_reader_is_woken,
        closes::replay_of_one_topic,
        closes::replay_says_what_has_aged_out,
        closes::the_bus_ends,
    ];
}

/// Closes a bus under test holds: few, so that a case can outrun them.
const CLOSES_MAX: usize = 20;

/// A case that hangs shall fail with its name; the wait is for the slowest machine, and no case
/// depends on its length.
async fn within(name: &str, case: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(Duration::from_secs(60), case).await;
    assert!(ended.is_ok(), "{name} hangs");
}
