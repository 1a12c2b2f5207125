use std::fs;
use std::os::unix::fs::symlink;

use exchange_sim::{Kind, Play, StartWhen};
use runtime::tasks::{OnExit, Tasks};
use tempfile::TempDir;

use super::super::tests::text;
use super::*;

const BTC: (&str, &[&str]) = ("binance-spot", &["BTC-USDT"]);

/// A file in a folder of its own, and who watches it.
struct Rig {
    folder: TempDir,
    file: AssignmentFile,
    taken: watch::Receiver<Option<Arc<Assignment>>>,
    /// How much later it is than it is.
    ahead: Duration,
}

impl Rig {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("assignment.json");
        let (file, taken) = AssignmentFile::new(
            path,
            AssignmentMetrics::default(),
            ShardId(0),
            RestBudgets::default(),
            InLog::default(),
        );
        Self {
            folder,
            file,
            taken,
            ahead: Duration::ZERO,
        }
    }

    fn write(&self, content: &[u8]) {
        fs::write(&self.file.path, content).unwrap();
    }

    /// After one look: the generation in force, and how often was refused for the reason.
    async fn look(&mut self, reason: Reason) -> (Option<u64>, u64) {
        let now = tokio::time::interval(LOOK_EVERY).tick().await;
        self.file.look(now + self.ahead).await;
        let generation = self.taken.borrow().as_ref().map(|taken| taken.generation());
        assert_eq!(self.file.metrics.generation.get(), generation.unwrap_or(0));
        (generation, self.file.metrics.refused(reason).get())
    }
}

#[tokio::test]
async fn the_file_may_come_later_and_go_again() {
    let mut rig = Rig::new();
    assert_eq!(rig.look(Reason::Unreadable).await, (None, 1));
    rig.write(text(7, &[BTC]).as_bytes());
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(7), 1));
    fs::remove_file(&rig.file.path).unwrap();
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(7), 2));
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(7), 2));
    rig.write(text(8, &[BTC]).as_bytes());
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(8), 2));
}

#[tokio::test]
async fn a_file_that_is_written_in_pieces_is_taken_when_it_is_whole() {
    let mut rig = Rig::new();
    rig.write(text(7, &[BTC]).as_bytes());
    rig.look(Reason::Malformed).await;
    let whole = text(8, &[BTC]);
    rig.write(b"");
    assert_eq!(rig.look(Reason::Malformed).await, (Some(7), 1));
    rig.write(&whole.as_bytes()[..whole.len() / 2]);
    assert_eq!(rig.look(Reason::Malformed).await, (Some(7), 2));
    assert_eq!(rig.look(Reason::Malformed).await, (Some(7), 2));
    rig.write(whole.as_bytes());
    assert_eq!(rig.look(Reason::Malformed).await, (Some(8), 2));
}

/// As the kubelet changes a ConfigMap's folder: the file is a link by way of `..data`, which is replaced at once.
#[tokio::test]
async fn a_swapped_link_is_followed() {
    let mut rig = Rig::new();
    let at = |name: &str| rig.folder.path().join(name);
    for (folder, generation) in [("..1", 7), ("..2", 8)] {
        fs::create_dir(at(folder)).unwrap();
        // One length, and one time of change: only what they say differs.
        let content = text(generation, &[BTC]);
        fs::write(at(folder).join("assignment.json"), content).unwrap();
        let file = fs::File::open(at(folder).join("assignment.json")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/assignment.json", at("assignment.json")).unwrap();
    let (swap, data) = (at("..data_tmp"), at("..data"));
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(7), 0));
    symlink("..2", &swap).unwrap();
    fs::rename(&swap, &data).unwrap();
    assert_eq!(rig.look(Reason::Unreadable).await, (Some(8), 0));
}

#[tokio::test]
async fn what_is_no_file_or_has_no_end_is_refused() {
    let mut rig = Rig::new();
    fs::create_dir(&rig.file.path).unwrap();
    assert_eq!(rig.look(Reason::Unreadable).await, (None, 1));
    fs::remove_dir(&rig.file.path).unwrap();
    rig.write(&vec![b' '; FILE_LEN_MAX + 1]);
    assert_eq!(rig.look(Reason::Malformed).await, (None, 1));
    fs::remove_file(&rig.file.path).unwrap();
    symlink("/dev/zero", &rig.file.path).unwrap();
    assert_eq!(rig.look(Reason::Unreadable).await, (None, 2));
}

#[tokio::test(start_paused = true)]
async fn as_a_task_it_sees_each_change_and_stops_when_asked() {
    let Rig {
        folder: _folder,
        file,
        mut taken,
        ..
    } = Rig::new();
    let path = file.path.clone();
    let (tasks, stop) = Tasks::new("test");
    tasks.spawn("assignment-file", OnExit::StopAll, file.run(stop.clone()));
    for generation in [7, 8] {
        fs::write(&path, text(generation, &[BTC])).unwrap();
        let is_it = |taken: &Option<Arc<Assignment>>| {
            taken
                .as_ref()
                .is_some_and(|taken| taken.generation() == generation)
        };
        taken.wait_for(is_it).await.unwrap();
    }
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

/// An exchange with `BTC-USDT`, `ETH-USDT` and `BTC-USD`, and its address.
async fn exchange(tasks: &Tasks, shutdown: Shutdown) -> String {
    let (binance, coinbase) = (Kind::BinanceSpot, Kind::Coinbase);
    let symbols = [
        (binance, "BTC-USDT"),
        (binance, "ETH-USDT"),
        (coinbase, "BTC-USD"),
    ];
    let mut options = exchange_sim::Options::new(
        "127.0.0.1:0".parse().unwrap(),
        Play::Generate {
            symbols: symbols.map(|(kind, it)| (kind, it.parse().unwrap())).into(),
            rate: 1,
            seed: 1,
            start_ms: None,
            trades_max: None,
        },
    );
    options.start_when = StartWhen::Manually;
    let service = exchange_sim::Service::bind(options).await.unwrap();
    let address = service.local_addr().to_string();
    tasks.spawn("exchange", OnExit::StopAll, service.run(shutdown));
    address
}

/// A file's text of this generation, with the exchange at the address.
fn at(address: &str, generation: u64, sources: &[(&str, &[&str])]) -> String {
    text(generation, sources).replace("127.0.0.1:9/", &format!("{address}/"))
}

const MANY: (&str, &[&str]) = ("binance-spot", &["BTC-USDT", "NOSUCH-USDT", "ETH-USDT"]);
const UNKNOWN: Reason = Reason::UnknownSymbols;

#[tokio::test]
async fn symbols_that_a_venue_has_not_are_kept_out() {
    let (tasks, stop) = Tasks::new("test");
    let address = exchange(&tasks, stop.clone()).await;
    let at = |generation, sources: &[(&str, &[&str])]| at(&address, generation, sources);
    let mut rig = Rig::new();
    rig.write(at(6, &[BTC]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 0));
    rig.write(at(7, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 1));
    let products = ("coinbase", &["BTC-USD", "NOSUCH-USD"][..]);
    rig.write(at(8, &[BTC, products]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 2));
    // What a venue has is taken; and of one that tells nobody, or is away, everything.
    let signed = ("coinbase-advanced", &["NOSUCH-USD"][..]);
    let both = ("binance-spot", &["BTC-USDT", "ETH-USDT"][..]);
    rig.write(at(9, &[both, ("coinbase", &["BTC-USD"]), signed]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(9), 2));
    rig.write(text(10, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(10), 2));
    // It is in force now, and not asked for again.
    rig.write(at(11, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(11), 2));
    assert_eq!(rig.file.metrics.unknown.get(), 0);
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

/// A symbol that was delisted must not keep a process from starting.
#[tokio::test]
async fn at_the_start_they_are_taken_and_told() {
    let (tasks, stop) = Tasks::new("test");
    let address = exchange(&tasks, stop.clone()).await;
    let mut rig = Rig::new();
    rig.write(at(&address, 5, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(5), 0));
    assert_eq!(rig.file.metrics.unknown.get(), 1);
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_start_no_answer_is_waited_for() {
    // Nobody accepts what is connected.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut rig = Rig::new();
    rig.write(at(&address, 5, &[MANY]).as_bytes());
    let now = tokio::time::interval(LOOK_EVERY).tick().await;
    tokio::select! {
        biased;
        () = rig.file.look(now) => panic!("the venue has answered"),
        taken = rig.taken.wait_for(Option::is_some) => assert!(taken.is_ok()),
    }
}

#[tokio::test]
async fn a_venue_that_does_not_answer_takes_no_denial_back() {
    let (tasks, stop) = Tasks::new("test");
    let address = exchange(&tasks, stop.clone()).await;
    let mut rig = Rig::new();
    rig.write(at(&address, 6, &[BTC]).as_bytes());
    rig.look(UNKNOWN).await;
    rig.write(at(&address, 7, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 1));
    // Nobody answers there.
    rig.write(text(8, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 2));
    rig.ahead = ASK_AGAIN_EVERY;
    assert_eq!(rig.look(UNKNOWN).await, (Some(6), 2));
    // Once nobody wants it, what was said of it counts no more.
    rig.write(text(9, &[BTC]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(9), 2));
    rig.write(text(10, &[MANY]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(10), 2));
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

#[tokio::test]
async fn what_is_in_force_elsewhere_is_taken_after_all() {
    let (tasks, stop) = Tasks::new("test");
    let address = exchange(&tasks, stop.clone()).await;
    let mut rig = Rig::new();
    rig.write(at(&address, 6, &[BTC]).as_bytes());
    rig.look(UNKNOWN).await;
    rig.write(at(&address, 8, &[MANY]).as_bytes());
    for older in [6, 7] {
        rig.file.in_log.handle_generation(older);
        assert_eq!(rig.look(UNKNOWN).await, (Some(6), 1));
    }
    rig.file.in_log.handle_generation(8);
    assert_eq!(rig.look(UNKNOWN).await, (Some(8), 1));
    assert_eq!(rig.file.metrics.unknown.get(), 1);
    assert_eq!(rig.look(UNKNOWN).await, (Some(8), 1));
    // One that the log shows when it comes is not refused first.
    let products = ("coinbase", &["NOSUCH-USD"][..]);
    rig.file.in_log.handle_generation(9);
    rig.write(at(&address, 9, &[MANY, products]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(9), 1));
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

#[tokio::test]
async fn they_are_asked_for_again_and_told_once() {
    let (tasks, stop) = Tasks::new("test");
    let address = exchange(&tasks, stop.clone()).await;
    let mut rig = Rig::new();
    rig.write(at(&address, 5, &[BTC]).as_bytes());
    rig.look(UNKNOWN).await;
    let products = ("coinbase", &["NOSUCH-USD"][..]);
    rig.write(at(&address, 6, &[BTC, products]).as_bytes());
    assert_eq!(rig.look(UNKNOWN).await, (Some(5), 1));
    let at = |rig: &Rig| rig.file.denied.as_ref().map(|it| it.again_at).unwrap();
    let first = at(&rig);
    rig.ahead = ASK_AGAIN_EVERY / 2;
    assert_eq!(rig.look(UNKNOWN).await, (Some(5), 1));
    assert_eq!(at(&rig), first, "it is not the time yet");
    rig.ahead = ASK_AGAIN_EVERY;
    assert_eq!(rig.look(UNKNOWN).await, (Some(5), 1));
    assert!(at(&rig) > first, "it was asked");
    stop.trigger();
    tasks.run_until_stopped(LOOK_EVERY).await.unwrap();
}

#[test]
fn names_are_those_of_the_words() {
    let mut registry = Registry::default();
    let metrics = AssignmentMetrics::new(&mut registry);
    metrics.refused(Reason::Stale).inc();
    metrics.generation.set(7);
    metrics.unknown.inc_by(3);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "assignment_refused_total{reason=\"stale\"} 1",
        "assignment_generation 7",
        "assignment_unknown_symbols_total 3",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
