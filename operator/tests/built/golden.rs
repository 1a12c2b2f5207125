//! What every example gives, to the letter.

use std::path::{Path, PathBuf};

use super::feeds::{all, parsed};
use operator::plan;
use wire::assignment::Difference;

/// Set to write the files instead of comparing them.
const WRITE: &str = "MARKETFEED_WRITE_GOLDEN";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_examples_give_these_objects() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(at("../examples")).unwrap() {
        let path = entry.unwrap().path();
        let is_yaml = path.extension().is_some_and(|ext| ext == "yaml");
        // Beside the feeds are ways in for clients.
        if is_yaml
            && std::fs::read_to_string(&path)
                .unwrap()
                .contains("\nkind: MarketFeed\n")
        {
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let text = std::fs::read_to_string(at(&format!("../examples/{name}.yaml"))).unwrap();
        let feed = parsed(&text);
        let objects = all(&feed);
        compare(&format!("{name}.yaml"), &plan::to_yaml(&objects).unwrap());
        let assignment = plan::assignment(&feed, None).unwrap();
        let difference = Difference::between(None, &assignment);
        let built = &objects[..objects.len() - 1];
        compare(
            &format!("{name}.txt"),
            &plan::summary(&feed, &difference, built),
        );
    }
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = at(&format!("tests/golden/{name}"));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written == text {
        return;
    }
    let first = written
        .lines()
        .zip(text.lines())
        .position(|(old, new)| old != new);
    let line = first.unwrap_or(written.lines().count().min(text.lines().count()));
    panic!(
        "tests/golden/{name} is another from line {}: {:?} and now {:?}; run this test with {WRITE}=1 to write it, and read what changed",
        line + 1,
        written.lines().nth(line),
        text.lines().nth(line),
    );
}
