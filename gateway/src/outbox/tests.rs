use super::*;
use crate::tests::{Stream, drain, frame, give, short, spread};

const NAMES: [&str; 3] = ["kline:1m:A-USDT", "kline:1m:B-USDT", "kline:1m:C-USDT"];

/// A hub with three topics that each have an open bar, and an outbox that listens to all.
fn listening() -> (Hub, Vec<Stream>, [Outbox; 1]) {
    let mut hub = Hub::new(4, 500);
    let mut streams: Vec<Stream> = NAMES.iter().map(|name| Stream::new(name)).collect();
    let mut outbox = Outbox::default();
    for stream in &mut streams {
        give(&mut hub, 0, stream.open());
        let topic = hub.find(&stream.topic).unwrap();
        outbox.subscribe(&hub, topic, None);
        hub.listen(0, topic);
    }
    let mut outboxes = [outbox];
    spread(&mut hub, &mut outboxes);
    (hub, streams, outboxes)
}

#[test]
fn replies_leave_in_order_and_before_bars_over_as_many_frames_as_it_takes() {
    let (mut hub, _, [mut outbox]) = listening();
    for id in 0..10 {
        outbox.reply(&Reply::Pong { id: Some(id) });
    }
    let pong_len = Reply::Pong { id: Some(0) }.encode().len();
    assert_eq!(outbox.replies_len(), 10 * pong_len);
    let mut frames = Vec::new();
    let mut ids = Vec::new();
    while outbox.replies_len() > 0 {
        let objects = frame(&mut outbox, &mut hub, 3 * pong_len + 2);
        ids.extend(objects.iter().map(|object| object["id"].as_u64().unwrap()));
        frames.push(objects.len());
    }
    assert_eq!(frames, [3, 3, 3, 1]);
    assert_eq!(ids, (0..10).collect::<Vec<u64>>());
    assert_eq!(drain(&mut outbox, &mut hub).len(), NAMES.len());
}

#[test]
fn topics_leave_in_the_order_in_which_they_moved() {
    let (mut hub, mut streams, mut outboxes) = listening();
    drain(&mut outboxes[0], &mut hub);
    for n in [2, 0, 1, 2] {
        give(&mut hub, 0, streams[n].open());
        spread(&mut hub, &mut outboxes);
    }
    let topics: Vec<String> = drain(&mut outboxes[0], &mut hub)
        .iter()
        .map(|bar| bar["topic"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(topics, [NAMES[2], NAMES[0], NAMES[1]]);
}

#[test]
fn a_frame_that_is_full_goes_on_in_the_next() {
    let (mut hub, _, [mut outbox]) = listening();
    // Room for one bar, not for two.
    let frames: Vec<usize> = std::iter::repeat_with(|| frame(&mut outbox, &mut hub, 600).len())
        .take(4)
        .collect();
    assert_eq!(frames, [1, 1, 1, 0]);
    assert!(outbox.is_empty());
}

#[test]
fn leaving_and_coming_back_owes_one_snapshot() {
    let (mut hub, _, [mut outbox]) = listening();
    let topic = hub.find(&NAMES[0].parse().unwrap()).unwrap();
    for _ in 0..5 {
        assert!(outbox.unsubscribe(topic));
        assert!(!outbox.unsubscribe(topic));
        outbox.subscribe(&hub, topic, None);
        outbox.subscribe(&hub, topic, None);
    }
    // The dirty set is bounded by the subscriptions, whatever a client does while it is not written to.
    assert_eq!(outbox.dirty.len(), NAMES.len());
    assert_eq!(short(&drain(&mut outbox, &mut hub)), ["open 1.1"; 3]);
}

#[test]
fn what_was_overtaken_is_counted_once_it_is_known() {
    let (mut hub, mut streams, mut outboxes) = listening();
    drain(&mut outboxes[0], &mut hub);
    for _ in 0..5 {
        give(&mut hub, 0, streams[0].open());
        spread(&mut hub, &mut outboxes);
    }
    let mut batch = Batch::default();
    outboxes[0].poll_batch(&mut hub, 64 * 1024, &mut batch);
    assert_eq!((batch.texts.len(), batch.conflated), (1, 4));
}
