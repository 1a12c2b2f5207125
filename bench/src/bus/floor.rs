//! The peer: the same texts at the same pace by a client that is as thin as can be. Open bars go by core NATS and no
//! stream keeps them; closes and checkpoints are published to a stream like the log one by one, each with its own
//! acknowledgement, without conditions, and so not all or nothing.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster::NatsCluster;
use runtime::broker::BarMessage;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{interval_at, sleep_until};
use wire::Subject;

use super::market::{self, Market};
use super::pace::{CLOSES, Pace};
use super::publisher::{Sent, bytes};
use super::receiver::{Received, add};
use super::thin::{self, Reader, Writer};
use super::window::{LATE, Seat, Window};

/// Before the subjects of open bars.
const OPEN: &str = "floor.";
/// Before the subjects of closes and checkpoints.
pub(crate) const LOG: &str = "peer.";
/// Closes that are not acknowledged yet.
const UNACKNOWLEDGED_MAX: usize = 512;

/// Makes a stream like the log, and a consumer that pushes closes to `deliver`.
pub(crate) async fn prepare(cluster: &NatsCluster) -> Result<()> {
    let stream = json!({
        "name": "PEER", "subjects": [format!("{LOG}>")], "storage": "file", "retention": "limits",
        "num_replicas": 3, "max_msgs_per_subject": 1_000, "allow_direct": true,
    });
    ask(cluster, "$JS.API.STREAM.CREATE.PEER", &stream).await?;
    let consumer = json!({ "stream_name": "PEER", "config": {
        "deliver_subject": "deliver.peer", "deliver_policy": "new", "ack_policy": "none",
        "filter_subject": format!("{LOG}bar.>"), "mem_storage": true, "num_replicas": 1,
        "inactive_threshold": 60_000_000_000_u64,
    }});
    ask(cluster, "$JS.API.CONSUMER.CREATE.PEER", &consumer).await
}

async fn ask(cluster: &NatsCluster, subject: &str, body: &Value) -> Result<()> {
    let server = cluster.addresses()[0];
    let answer = cluster::nats::request(server, subject, &body.to_string()).await?;
    ensure!(answer["error"].is_null(), "{subject}: {}", answer["error"]);
    Ok(())
}

/// As [`super::publisher::run`].
pub(crate) async fn publish(
    server: SocketAddr,
    market: &Market,
    opens: Pace,
    seat: Seat,
) -> Result<Sent> {
    let (writer, mut reader) = thin::connect(server).await?;
    writer.write(b"SUB _INBOX.peer.* 1\r\n").await?;
    let window = seat.begin().await?;
    let room = Semaphore::new(UNACKNOWLEDGED_MAX);
    let mut acknowledged = Sent::default();
    let work = async {
        tokio::try_join!(
            publish_opens(&writer, market, opens, window),
            publish_closes(&writer, market, &room, window),
        )
    };
    let work = async {
        tokio::select! {
            work = work => work,
            error = acknowledge(&mut reader, &writer, &room, window, &mut acknowledged) => Err(error),
        }
    };
    let (work, cpu_s) = tokio::join!(work, window.thread_cpu_s());
    let (opens, closes) = work?;
    Ok(Sent {
        opens: opens.opens,
        open_bytes: opens.open_bytes,
        close_bytes: closes.close_bytes,
        cpu_s,
        ..acknowledged
    })
}

async fn publish_opens(
    writer: &Writer,
    market: &Market,
    pace: Pace,
    window: Window,
) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut ticks = interval_at(window.begin.into(), pace.every);
    let (mut lines, mut next) = (Vec::new(), 0);
    while window.to > Instant::now() {
        ticks.tick().await;
        let made = Instant::now();
        let stamp = window.stamp(made);
        let bars = (next..next + pace.count).map(|n| market.open(n, stamp));
        let bars: Vec<BarMessage> = bars.collect();
        next += pace.count;
        lines.clear();
        for bar in &bars {
            thin::put(
                &mut lines,
                &format!("{OPEN}{}", bar.subject),
                None,
                &bar.json,
            );
        }
        writer.write(&lines).await?;
        if window.holds(made) {
            sent.opens += bars.len();
            sent.open_bytes += bytes(&bars);
        }
    }
    Ok(sent)
}

async fn publish_closes(
    writer: &Writer,
    market: &Market,
    room: &Semaphore,
    window: Window,
) -> Result<Sent> {
    let mut sent = Sent::default();
    let text = market::checkpoint_text();
    let (mut lines, mut next) = (Vec::new(), 0);
    loop {
        let due_at = CLOSES.due_at(next, window.begin);
        if due_at >= window.to {
            // The last acknowledgements.
            let all = u32::try_from(UNACKNOWLEDGED_MAX)?;
            let _ = room.acquire_many(all).await?;
            return Ok(sent);
        }
        sleep_until(due_at.into()).await;
        lines.clear();
        let free = room.available_permits().max(1);
        let due = CLOSES.due(window.begin, Instant::now()) - next;
        let count = due.min(free);
        // Given back by the acknowledgements.
        room.acquire_many(u32::try_from(count)?).await?.forget();
        for n in next..next + count {
            let made = CLOSES.due_at(n, window.begin);
            let close = market.close(n, window.stamp(made));
            let checkpoint = market.checkpoint(market.instrument_of(n));
            let subject = format!("{LOG}{}", close.subject);
            thin::put(&mut lines, &subject, Some("_INBOX.peer.close"), &close.json);
            let subject = format!("{LOG}{checkpoint}");
            thin::put(
                &mut lines,
                &subject,
                Some(&format!("_INBOX.peer.{n}")),
                &text,
            );
            if window.holds(made) {
                sent.close_bytes += close.json.len() + text.len();
            }
        }
        writer.write(&lines).await?;
        next += count;
    }
}

/// Hears acknowledgements until something is wrong. A checkpoint's comes after that of its close.
async fn acknowledge(
    reader: &mut Reader,
    writer: &Writer,
    room: &Semaphore,
    window: Window,
    sent: &mut Sent,
) -> anyhow::Error {
    loop {
        let one = async {
            let heard = reader.next(writer).await?;
            let now = Instant::now();
            let answer: Value = serde_json::from_slice(heard.payload)?;
            ensure!(answer["error"].is_null(), "not taken: {}", answer["error"]);
            let number = heard.subject.rsplit('.').next().unwrap_or_default();
            if let Ok(n) = number.parse::<usize>() {
                room.add_permits(1);
                let made = CLOSES.due_at(n, window.begin);
                if window.holds(made) {
                    sent.closes += 1;
                    sent.answered.add(now - made);
                }
            }
            Ok(())
        };
        if let Err(error) = one.await {
            return error;
        }
    }
}

/// As [`super::receiver::run`].
pub(crate) async fn receive(server: SocketAddr, seat: Seat) -> Result<Received> {
    let (writer, mut reader) = thin::connect(server).await?;
    let subscribe = format!("SUB {OPEN}> 1\r\nSUB deliver.peer 2\r\nPING\r\n");
    writer.write(subscribe.as_bytes()).await?;
    let window = seat.begin().await?;
    let mut received = Received::default();
    let take = async {
        loop {
            let heard = reader.next(&writer).await?;
            take_one(heard, window, &mut received)?;
        }
    };
    let until = async {
        tokio::select! {
            took = take => took,
            () = sleep_until((window.to + LATE).into()) => Ok(()),
        }
    };
    let (took, cpu_s): (Result<()>, f64) = tokio::join!(until, window.thread_cpu_s());
    took?;
    Ok(Received { cpu_s, ..received })
}

fn take_one(heard: thin::Heard<'_>, window: Window, received: &mut Received) -> Result<()> {
    let text = heard.subject.strip_prefix(OPEN);
    let text = text.or_else(|| heard.subject.strip_prefix(LOG));
    let subject: Subject = text.context("a strange subject")?.parse()?;
    let json = bytes::Bytes::copy_from_slice(heard.payload);
    let message = BarMessage::decode(subject, json)?;
    let ages = match message.bar.closed {
        true => &mut received.closes,
        false => &mut received.opens,
    };
    add(&message.bar, window, Instant::now(), ages);
    Ok(())
}
