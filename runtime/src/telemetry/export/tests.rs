use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::*;
use crate::telemetry::tracer::{Tracer, new_trace};

/// What the collector does with a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Takes,
    Refuses,
    Hangs,
}

/// Answers as told, then takes everything; keeps the lengths of what it took and counts what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    taken: Arc<Mutex<Vec<usize>>>,
    asked: Arc<Mutex<usize>>,
}

impl Script {
    fn of(answers: &[Answer]) -> Self {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        script
    }

    fn taken(&self) -> Vec<usize> {
        self.taken.lock().unwrap().clone()
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Sink for Script {
    async fn send(&mut self, batch: &[Span]) -> Result<(), String> {
        *self.asked.lock().unwrap() += 1;
        let answer = self.answers.lock().unwrap().pop_front();
        match answer.unwrap_or(Answer::Takes) {
            Answer::Takes => self.taken.lock().unwrap().push(batch.len()),
            Answer::Refuses => return Err("away".to_owned()),
            Answer::Hangs => std::future::pending().await,
        }
        Ok(())
    }
}

struct Bench {
    tracer: Tracer,
    counts: Counts,
    exporter: Exporter<Script>,
}

fn bench(script: &Script) -> Bench {
    let (queue_in, queue) = mpsc::channel(QUEUE_LEN);
    let counts = Counts::default();
    Bench {
        tracer: Tracer::new(1, queue_in, counts.queue_full()),
        exporter: Exporter::new(
            queue,
            script.clone(),
            counts.clone(),
            fastrand::Rng::with_seed(1),
        ),
        counts,
    }
}

fn record(tracer: &Tracer, count: usize) {
    for _ in 0..count {
        tracer.record(Span::root("a", new_trace(), SystemTime::UNIX_EPOCH));
    }
}

#[tokio::test(start_paused = true)]
async fn spans_go_in_batches_and_none_is_lost() {
    let script = Script::default();
    let Bench {
        tracer,
        counts,
        exporter,
    } = bench(&script);
    record(&tracer, 2 * BATCH_LEN + 3);
    drop(tracer);
    exporter.run(Shutdown::new()).await;
    assert_eq!(script.taken(), [BATCH_LEN, BATCH_LEN, 3]);
    assert_eq!(counts.exported.get(), 2 * BATCH_LEN as u64 + 3);
    assert_eq!(counts.not_sent().get() + counts.queue_full().get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let script = Script::default();
    let Bench {
        tracer,
        counts,
        exporter,
    } = bench(&script);
    // Nobody reads yet: were it to wait, this would never end.
    record(&tracer, QUEUE_LEN + 7);
    assert_eq!(counts.queue_full().get(), 7);
    drop(tracer);
    exporter.run(Shutdown::new()).await;
    assert_eq!(counts.exported.get(), QUEUE_LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_comes_back_gets_what_it_missed() {
    let script = Script::of(&[Answer::Refuses, Answer::Hangs, Answer::Refuses]);
    let Bench {
        tracer,
        counts,
        exporter,
    } = bench(&script);
    record(&tracer, 5);
    drop(tracer);
    exporter.run(Shutdown::new()).await;
    assert_eq!(script.taken(), [5]);
    assert_eq!(script.asked(), 4);
    assert_eq!(counts.not_sent().get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_taken_makes_room_for_the_next() {
    let script = Script::of(&[Answer::Refuses; ATTEMPTS_MAX as usize]);
    let Bench {
        tracer,
        counts,
        exporter,
    } = bench(&script);
    record(&tracer, BATCH_LEN + 1);
    drop(tracer);
    exporter.run(Shutdown::new()).await;
    assert_eq!(script.taken(), [1]);
    assert_eq!(counts.not_sent().get(), BATCH_LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_is_queued() {
    let script = Script::default();
    let Bench {
        tracer, exporter, ..
    } = bench(&script);
    record(&tracer, BATCH_LEN + 2);
    let shutdown = Shutdown::new();
    shutdown.trigger();
    // The tracer is still there: components may outlive the request.
    exporter.run(shutdown).await;
    assert_eq!(script.taken(), [BATCH_LEN, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_collector_that_hangs() {
    let script = Script::of(&[Answer::Hangs; 3]);
    let Bench {
        tracer,
        counts,
        exporter,
    } = bench(&script);
    record(&tracer, 2 * BATCH_LEN);
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let began = Instant::now();
    exporter.run(shutdown).await;
    // By the paused clock, which moves only as far as is waited for.
    assert!(began.elapsed() <= STOP_MAX);
    assert_eq!(counts.not_sent().get(), 2 * BATCH_LEN as u64);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_the_next_attempt() {
    let script = Script::of(&[Answer::Refuses, Answer::Refuses]);
    let Bench {
        tracer,
        counts,
        mut exporter,
    } = bench(&script);
    // As after a long outage, when a wait is half a minute.
    for _ in 0..20 {
        exporter.backoff.next_delay();
    }
    record(&tracer, 1);
    let shutdown = Shutdown::new();
    let began = Instant::now();
    let stop = async {
        while script.asked() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        shutdown.trigger();
    };
    tokio::join!(exporter.run(shutdown.clone()), stop);
    assert!(began.elapsed() <= BATCH_WAIT + STOP_MAX);
    assert_eq!(script.asked(), 2);
    assert_eq!(counts.not_sent().get(), 1);
}
