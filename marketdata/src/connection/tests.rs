use runtime::telemetry::Tracer;
use wire::{Side, Trade};

use super::*;
use crate::venue::binance_spot::BinanceSpot;

const T0: i64 = 1_723_161_240_000;
const A: InstrumentIndex = InstrumentIndex(0);

/// A connection of one instrument, to an inbox of this length.
fn connection(when_full: WhenFull, len: usize) -> (Connection, mpsc::Receiver<Input>) {
    let symbols = ["BTC-USDT".parse().unwrap()];
    let context = FeedContext {
        feed: 0,
        venue: Arc::new(BinanceSpot::new(&symbols).unwrap()),
        url: String::new(),
        instruments: vec![A],
        places: [Place {
            shard: 0,
            series: 0,
        }]
        .into(),
        listed_from: 0,
        session: session::Options::default(),
        when_full,
        metrics: Metrics::default(),
        carriage: Carriage::new(1),
        clocks: Mutex::default(),
        begun: Instant::now(),
        tracer: Tracer::off(),
    };
    let (inbox_in, inbox) = mpsc::channel(len);
    let (reports, _) = mpsc::channel(1);
    let context = Arc::new(context);
    let connection = Connection::new(context, ConnectionId(0), [inbox_in].into(), reports);
    (connection, inbox)
}

/// Routes an instrument's beginning and a few trades, then delivers while the shard reads only once it must.
async fn deliver(when_full: WhenFull, len: usize) -> (Vec<&'static str>, u64) {
    let (mut connection, mut inbox) = connection(when_full, len);
    connection.router.handle_subscribed(A);
    let venue_ms = T0 - 1;
    connection.router.handle_event(&Event::Clock { venue_ms });
    for id in 1..=6u32 {
        let time_ms = T0 + i64::from(id);
        connection.router.handle_event(&Event::Trade {
            instrument: A,
            trade: Trade {
                id: u64::from(id),
                time_ms,
                price: "5".parse().unwrap(),
                size: "1".parse().unwrap(),
                taker: Side::Buy,
            },
            event_time_ms: time_ms,
        });
    }
    let dropped = connection.dropped.clone();
    let deliver = async move {
        connection.deliver().await;
        drop(connection);
    };
    let read = async {
        // Let the other side run until it has to wait.
        tokio::task::yield_now().await;
        let mut names = Vec::new();
        while let Some(input) = inbox.recv().await {
            names.push(match input {
                Input::Up { .. } => "up",
                Input::Clock { .. } => "clock",
                Input::Trade { .. } => "trade",
                Input::Loss { .. } => "loss",
                Input::Down { .. } => "down",
                Input::Reference { .. } => "reference",
                Input::Sampled { .. } => "sampled",
                Input::Repaired { .. } | Input::Void { .. } | Input::RepairEnd { .. } => "repair",
            });
        }
        names
    };
    let ((), names) = tokio::join!(deliver, read);
    (names, dropped.get())
}

#[tokio::test]
async fn a_replay_waits_for_room() {
    let (names, dropped) = deliver(WhenFull::Wait, 2).await;
    let expect = [
        "up", "clock", "trade", "trade", "trade", "trade", "trade", "trade",
    ];
    assert_eq!((names.as_slice(), dropped), (expect.as_slice(), 0));
}

#[tokio::test]
async fn live_trades_without_room_are_dropped_counted_and_told() {
    let (names, dropped) = deliver(WhenFull::DropNewest, 4).await;
    // Two of six find room; the loss of the others waits for its place.
    assert_eq!(names, ["up", "clock", "trade", "trade", "loss"]);
    assert_eq!(dropped, 4);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_counted_by_its_reason() {
    let (mut connection, _inbox) = connection(WhenFull::Wait, 4);
    for text in [
        "",
        "garbage",
        "{\"data\":{\"e\":\"trade\",\"s\":\"BTCUSDT\"}}",
    ] {
        connection.handle_frame(Ok(Frame::Text(text.into())));
    }
    connection.handle_frame(Ok(Frame::Binary));
    connection.handle_frame(Ok(Frame::Ping));
    assert_eq!(connection.messages.get(), 4);
    assert_eq!(connection.context.metrics.decode_errors_sum.get(), 4);
    assert_eq!(connection.session.end(), None);
    connection.handle_frame(Err(End::Protocol));
    assert_eq!(connection.session.end(), Some(End::Protocol));
}

#[test]
fn never_is_a_time_that_the_clock_can_hold() {
    let begun = Instant::now();
    let (mut connection, _inbox) = connection(WhenFull::Wait, 4);
    assert!(connection.context.instant(u64::MAX) > begun);
    connection.session.handle_opened(0);
}
