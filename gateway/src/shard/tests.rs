use std::io::Read;
use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use runtime::broker::BarMessage;
use wire::{Bar, Scope};

use super::*;
use crate::options::Options;
use crate::seats::Seats;
use crate::tests::Stream;

const BTC: &str = "kline:1m:BTC-USDT";

fn scope() -> Scope {
    Scope::new("test", "eu").unwrap()
}

/// Times in which nothing happens by itself.
fn options() -> Options {
    let hour = Duration::from_secs(3_600);
    Options {
        ping_period: hour,
        pong_max: hour,
        hold_max: hour,
        ..Options::new(scope())
    }
}

/// A shard that no thread runs, and the way to it.
struct Fixture {
    shard: Shard,
    inbox: Inbox,
    seats: std::sync::Arc<Seats>,
    listener: TcpListener,
}

impl Fixture {
    fn new(options: &Options) -> Self {
        let place = Place { index: 0, count: 1 };
        let metrics = Metrics::default();
        // Nobody takes the questions: the log is away.
        let (questions, _) = crate::replayer::replayer(&metrics);
        let (mut shard, inbox) =
            Shard::new(place, options.limits(), &[], questions, metrics).unwrap();
        shard.rng = fastrand::Rng::with_seed(1);
        Self {
            shard,
            inbox,
            seats: Seats::new(1_000, 1, Default::default()),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// Puts a connection into the inbox whose client has said this; gives the client's end.
    fn arrive(&self, said: &str) -> TcpStream {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = self.listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut leftover = Vec::new();
        if !said.is_empty() {
            leftover.extend([0x81, 0x80 | u8::try_from(said.len()).unwrap(), 0, 0, 0, 0]);
            leftover.extend(said.as_bytes());
        }
        let arrival = Arrival {
            socket,
            leftover: Bytes::from(leftover),
            seat: self.seats.take().unwrap(),
            peer,
        };
        assert!(self.inbox.put_arrival(arrival).is_ok());
        client
    }

    fn give(&self, bars: impl IntoIterator<Item = Bar>) {
        let messages = bars.into_iter().map(|bar| BarMessage::new(&scope(), bar));
        let (closes, opens): (Vec<_>, Vec<_>) = messages.partition(|message| message.bar.closed);
        self.inbox.put_opens(&opens);
        self.inbox.put_closes(closes.into_iter());
    }

    fn pass(&mut self) {
        self.shard.pass(&Events::with_capacity(1));
    }

    fn deadlines(&self) -> Vec<u64> {
        let deadline = |(_, conn): (usize, &Conn)| conn.deadline_ms.unwrap();
        self.shard.conns.iter().map(deadline).collect()
    }
}

/// Checks that times lie all over a range.
fn check_spread(mut times: Vec<u64>, range_ms: u64) {
    times.sort_unstable();
    let quarters: std::collections::BTreeSet<u64> = times
        .iter()
        .map(|at_ms| at_ms * 4 / range_ms.max(1))
        .collect();
    assert!(quarters.len() >= 4, "{times:?}");
}

#[test]
fn pings_and_the_closes_of_a_drain_are_spread() {
    let mut fixture = Fixture::new(&options());
    let _clients: Vec<TcpStream> = (0..64).map(|_| fixture.arrive("")).collect();
    fixture.pass();
    check_spread(fixture.deadlines(), 3_600_000);
    let over = Duration::from_secs(600);
    fixture.inbox.put_drain(over);
    fixture.pass();
    let deadlines = fixture.deadlines();
    assert!(
        deadlines.iter().all(|at_ms| *at_ms <= 660_000),
        "{deadlines:?}"
    );
    check_spread(deadlines, 600_000);
}

#[test]
fn a_flush_is_followed_by_a_wait_that_its_work_decides() {
    let mut fixture = Fixture::new(&options());
    // An hour of life, so that a wait counted from its beginning is one of an hour at least.
    let hour = Duration::from_secs(3_600);
    fixture.shard.began = Instant::now().checked_sub(hour).unwrap();
    fixture.pass();
    assert_eq!(fixture.shard.pacer.wait(Duration::ZERO), Duration::ZERO);
    fixture.give([Stream::new(BTC).open()]);
    fixture.pass();
    assert!(fixture.shard.pacer.wait(Duration::ZERO) > hour);
}

#[test]
fn whoever_takes_a_place_inherits_nothing() {
    let mut fixture = Fixture::new(&options());
    fixture.give([Stream::new(BTC).open()]);
    let _first = fixture.arrive(r#"{"op":"subscribe","topics":["kline:*:*"]}"#);
    fixture.pass();
    assert_eq!(fixture.shard.conns[0].outbox.topics().len(), 1);
    fixture.shard.remove(0, CloseReason::Gone);
    let _second = fixture.arrive("");
    fixture.pass();
    assert!(fixture.shard.conns.contains(0), "the place is taken again");
    fixture.give([Stream::new("kline:1m:ETH-USDT").open()]);
    fixture.pass();
    assert_eq!(fixture.shard.conns[0].outbox.topics().len(), 0);
    assert!(fixture.shard.hub.wildcards(0).is_empty());
}

#[test]
fn a_drained_connection_gets_what_it_is_owed_and_one_that_comes_late_is_refused() {
    // A hundred closes take a dozen frames, which is more than one turn writes.
    let mut fixture = Fixture::new(&Options {
        ring_len: 100,
        frame_len_max: 4 * 1024,
        close_wait: Duration::from_secs(20),
        ..options()
    });
    let mut btc = Stream::new(BTC);
    fixture.give((0..100).map(|_| btc.close()));
    let subscribe =
        r#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"],"after":{"kline:1m:BTC-USDT":0}}"#;
    // The topic is known before it is subscribed to.
    fixture.pass();
    let mut client = fixture.arrive(subscribe);
    fixture.inbox.put_drain(Duration::ZERO);
    let Fixture {
        shard,
        inbox,
        seats,
        listener,
    } = fixture;
    // It leaves when it has read the close frame, which ends the shard.
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        client.read_to_end(&mut got).map(|_| got)
    });
    shard.run().unwrap();
    let got = reader.join().unwrap().unwrap();
    let text = String::from_utf8_lossy(&got);
    assert_eq!(text.matches(r#""closed":true"#).count(), 100);
    assert!(text.ends_with("drain"), "the close frame's reason is last");
    let _late = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, peer) = listener.accept().unwrap();
    let late = Arrival {
        socket,
        leftover: Bytes::new(),
        seat: seats.take().unwrap(),
        peer,
    };
    assert!(inbox.put_arrival(late).is_err());
}

#[test]
fn what_has_come_of_the_old_log_is_written_before_what_comes_of_another() {
    let mut fixture = Fixture::new(&options());
    let mut btc = Stream::new(BTC);
    let known = btc.clone().open();
    fixture
        .shard
        .hub
        .learn(&known.topic, &known.instrument, known.interval);
    let subscribe =
        r#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"],"after":{"kline:1m:BTC-USDT":0}}"#;
    let mut client = fixture.arrive(subscribe);
    // All of it at one look.
    fixture.give([btc.close(), btc.close()]);
    fixture.inbox.put_other_log();
    (btc.close_no, btc.epoch) = (0, 2);
    fixture.give([btc.close()]);
    fixture.pass();
    drop(fixture);
    let text = read_all(&mut client);
    let closes: Vec<&str> = text
        .split("\"close_no\":")
        .skip(1)
        .filter_map(|rest| rest.split(",\"seq").next())
        .collect();
    let expect = ["1,\"epoch\":1", "2,\"epoch\":1", "1,\"epoch\":2"];
    assert_eq!(closes, expect);
    assert!(!text.contains("missed"), "{text}");
}

fn read_all(client: &mut TcpStream) -> String {
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    String::from_utf8_lossy(&got).into_owned()
}

#[test]
fn of_another_log_that_is_longer_than_the_inbox_nothing_is_lost_unsaid() {
    let mut fixture = Fixture::new(&Options {
        ring_len: 2,
        ..options()
    });
    let mut btc = Stream::new(BTC);
    fixture.give([btc.close()]);
    fixture.pass();
    let subscribe = r#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"]}"#;
    let mut client = fixture.arrive(subscribe);
    fixture.pass();
    fixture.inbox.put_other_log();
    (btc.close_no, btc.epoch) = (0, 2);
    let count = crate::inbox::CLOSES_MAX + 5;
    fixture.give((0..count).map(|_| btc.close()));
    // One to hear that the log is away, and one to say what that comes to.
    fixture.pass();
    fixture.pass();
    drop(fixture);
    let text = read_all(&mut client);
    let missed: Vec<(usize, usize)> = text
        .split(r#""from":"#)
        .skip(1)
        .filter_map(|rest| rest.split('}').next()?.split_once(r#","to":"#))
        .map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()))
        .collect();
    let asked = count - 2 - 10_000;
    assert_eq!(missed, [(1, asked), (asked + 1, count - 2)]);
    for close_no in [count - 1, count] {
        assert!(
            text.contains(&format!(r#""close_no":{close_no},"#)),
            "{close_no}"
        );
    }
}
