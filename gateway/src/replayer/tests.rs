use runtime::broker::memory::{self, MemoryBroker};
use runtime::broker::{BarMessage, commit_alone};

use super::*;
use crate::tests::Stream;

const BTC: &str = "kline:1m:BTC-USDT";

/// Readers over a bus in memory that keeps so many closes, and the letter box of one shard.
struct Fixture {
    tasks: Tasks,
    questions: Questions,
    inbox: Inbox,
    poll: mio::Poll,
}

impl Fixture {
    async fn new(closes: usize, pages: usize) -> Self {
        let broker = MemoryBroker::new(memory::Options {
            closes_max: 8,
            ..memory::Options::default()
        });
        let scope = Scope::new("test", "eu").unwrap();
        let mut btc = Stream::new(BTC);
        for _ in 0..closes {
            let message = BarMessage::new(&scope, btc.close());
            commit_alone(&broker, &[message]).await.unwrap();
        }
        let poll = mio::Poll::new().unwrap();
        let inbox = Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let metrics = Metrics::default();
        let (questions, replayer) = with_bounds(&metrics, 4, pages);
        let (tasks, _) = Tasks::new("test");
        let broker: Arc<dyn Broker> = Arc::new(broker);
        let inboxes: Arc<[Inbox]> = Arc::new([inbox.clone()]);
        replayer.start(&tasks, &broker, &scope, &inboxes);
        Self {
            tasks,
            questions,
            inbox,
            poll,
        }
    }

    fn ask(&self, topic: &str, close_no: u64) -> bool {
        let bar = Stream::new(BTC).open();
        self.questions.put(Question {
            from: Asker {
                shard: 0,
                key: 3,
                id: 7,
            },
            topic: topic.parse().unwrap(),
            instrument: bar.instrument,
            interval: bar.interval,
            close_no,
            max: 3,
        })
    }

    /// The next answer: close_nos and topics of its closes; `None` if there are none to be had.
    async fn answer(&self) -> Option<Vec<(u64, String)>> {
        let mut replies = self.inbox.take().replies;
        while replies.is_empty() {
            // The paused clock moves only while nothing else does.
            tokio::time::sleep(Duration::from_millis(1)).await;
            replies = self.inbox.take().replies;
        }
        assert_eq!(replies.len(), 1);
        let Reply { to, answer } = replies.remove(0);
        assert_eq!((to.shard, to.key, to.id), (0, 3, 7));
        let Answer::Page(page) = answer else {
            return None;
        };
        let closes = page.texts().map(|(close_no, text)| {
            let bar = wire::Bar::decode(text).unwrap();
            assert_eq!(bar.close_no, close_no);
            (close_no, bar.topic.to_string())
        });
        Some(closes.collect())
    }
}

fn of(topic: &str, close_nos: std::ops::RangeInclusive<u64>) -> Option<Vec<(u64, String)>> {
    Some(close_nos.map(|no| (no, topic.to_owned())).collect())
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_under_the_name_that_it_asks_for() {
    let fixture = Fixture::new(10, 2).await;
    let long = "kline:binance-spot:1m:BTC-USDT";
    assert!(fixture.ask(BTC, 5));
    assert_eq!(fixture.answer().await, of(BTC, 5..=7));
    assert!(fixture.ask(long, 9));
    assert_eq!(fixture.answer().await, of(long, 9..=10));
    // What has aged out is not in it.
    assert!(fixture.ask(BTC, 1));
    assert_eq!(fixture.answer().await, of(BTC, 3..=5));
    drop((fixture.tasks, fixture.poll));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_in_time_is_said_to_be_unavailable_and_a_full_queue_takes_no_more()
{
    // Nobody may hold a page.
    let fixture = Fixture::new(10, 0).await;
    assert!(fixture.ask(BTC, 5));
    assert_eq!(fixture.answer().await, None);
    // Nobody takes one while this test does not wait.
    let taken = (0..100).take_while(|_| fixture.ask(BTC, 5)).count();
    assert_eq!(taken, 4, "the queue's bound");
    drop((fixture.tasks, fixture.poll));
}
