use std::fs;
use std::os::unix::fs::symlink;

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
}

impl Rig {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("assignment.json");
        let (file, taken) = AssignmentFile::new(path, AssignmentMetrics::default());
        Self {
            folder,
            file,
            taken,
        }
    }

    fn write(&self, content: &[u8]) {
        fs::write(&self.file.path, content).unwrap();
    }

    /// After one look: the generation in force, and how often was refused for the reason.
    async fn look(&mut self, reason: Reason) -> (Option<u64>, u64) {
        self.file.look().await;
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

#[test]
fn names_are_those_of_the_words() {
    let mut registry = Registry::default();
    let metrics = AssignmentMetrics::new(&mut registry);
    metrics.refused(Reason::Stale).inc();
    metrics.generation.set(7);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "assignment_refused_total{reason=\"stale\"} 1",
        "assignment_generation 7",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
