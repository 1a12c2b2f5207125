//! Cases of sampled bars.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use std::collections::BTreeMap;

use super::bars::{BTC_1S, Bus, ETH_1S, USD_1S, shown_close, shown_open, take};
use crate::broker::CloseStart;
use crate::telemetry::{TraceContext, new_trace};

/// What came, by subject and place, with its trace.
type Traces = BTreeMap<(String, u64), Option<TraceContext>>;

/// Open bars that come, until there are so many.
async fn opens(bus: &Bus, count: usize) -> Traces {
    let mut watcher = bus.watch().await;
    let mut bars = Vec::new();
    let mut traces = Traces::new();
    while traces.len() < count {
        watcher.drain(&mut bars).await.expect("not closed");
        for bar in bars.drain(..) {
            let (of, (_, _, seq)) = shown_open(&bar);
            traces.insert((of, seq), bar.trace);
        }
    }
    traces
}

pub(super) async fn a_sampled_bar_comes_with_its_trace_and_no_other_does(bus: Bus) {
    let (open, close) = (new_trace(), new_trace());
    let bars = [
        bus.open(BTC_1S, (1, 1, 1)).with_trace(Some(open)),
        bus.open(ETH_1S, (1, 1, 1)),
    ];
    bus.publish(&bars).await;
    let at = |of: &str| (of.to_owned(), 1);
    let expect = Traces::from([(at(BTC_1S), Some(open)), (at(ETH_1S), None)]);
    assert_eq!(opens(&bus, 2).await, expect);

    let closes = [
        bus.close(BTC_1S, 1, 1),
        bus.close(ETH_1S, 1, 1).with_trace(Some(close)),
        bus.close(USD_1S, 1, 1),
    ];
    bus.commit(&closes).await;
    let mut reader = bus.read(CloseStart::First).await;
    let came = take(&mut *reader, 3, 3).await;
    let came = came
        .iter()
        .map(|close| (shown_close(close), close.message.trace));
    let expect = [
        (at(BTC_1S), None),
        (at(ETH_1S), Some(close)),
        (at(USD_1S), None),
    ];
    assert_eq!(came.collect::<Traces>(), Traces::from(expect));
}
