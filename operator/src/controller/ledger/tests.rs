use serde_json::json;

use super::*;

fn object(name: &str, says: u32) -> Value {
    json!({ "kind": "Deployment", "metadata": { "name": name }, "spec": { "says": says } })
}

/// It stands so at a generation, which is its resource version too.
fn at(generation: u64) -> Standing {
    Standing {
        version: generation,
        content: generation,
        uid: "uid".to_owned(),
        ..Standing::default()
    }
}

fn there(of: &[(&str, u64)]) -> BTreeMap<Key, Standing> {
    let key = |name: &str| Key {
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
    };
    of.iter()
        .map(|(name, generation)| (key(name), at(*generation)))
        .collect()
}

/// They go so long after they are not wanted any more.
fn after(min_s: i64) -> Linger {
    Linger {
        min_s,
        max_s: min_s,
        is_over: true,
    }
}

#[track_caller]
fn check(
    ledger: &mut Ledger,
    wanted: &[Value],
    of: &[(&str, u64)],
    apply: &[usize],
    delete: &[&str],
) {
    let changes = ledger.poll_changes(wanted, &there(of), 100, after(0));
    assert_eq!(changes.apply, apply);
    let names: Vec<&str> = changes.delete.iter().map(|key| &key.name[..]).collect();
    assert_eq!(names, delete);
}

#[test]
fn what_is_as_it_was_applied_is_left_alone() {
    let mut ledger = Ledger::default();
    let wanted = [object("a", 1), object("b", 1)];
    // After a start, all of it once, whatever is there.
    check(&mut ledger, &wanted, &[("a", 7)], &[0, 1], &[]);
    ledger.handle_applied(&wanted[0], at(7));
    ledger.handle_applied(&wanted[1], at(1));
    check(&mut ledger, &wanted, &[("a", 7), ("b", 1)], &[], &[]);
    // What is watched may be behind.
    check(&mut ledger, &wanted, &[("a", 6), ("b", 1)], &[], &[]);
}

#[test]
fn what_is_wanted_otherwise_or_was_changed_or_removed_is_applied() {
    let mut ledger = Ledger::default();
    ledger.handle_applied(&object("a", 1), at(7));
    check(&mut ledger, &[object("a", 2)], &[("a", 7)], &[0], &[]);
    check(&mut ledger, &[object("a", 1)], &[("a", 8)], &[0], &[]);
    check(&mut ledger, &[object("a", 1)], &[], &[0], &[]);
    check(
        &mut ledger,
        &[object("a", 1)],
        &[("a", 7), ("old", 3)],
        &[],
        &["old"],
    );
    ledger.handle_deleted(&Key::of(&object("a", 1)));
    check(&mut ledger, &[object("a", 1)], &[("a", 7)], &[0], &[]);
}

#[test]
fn a_name_that_is_taken_is_tried_again_later() {
    let mut ledger = Ledger::default();
    let wanted = [object("a", 1)];
    let due = |ledger: &mut Ledger, of: &[(&str, u64)], now_s| {
        let changes = ledger.poll_changes(&wanted, &there(of), now_s, after(0));
        changes.apply
    };
    assert_eq!(due(&mut ledger, &[], 100), [0]);
    ledger.handle_taken(Key::of(&wanted[0]), 100);
    assert!(due(&mut ledger, &[], 100 + TAKEN_FOR_S - 1).is_empty());
    assert_eq!(ledger.taken().count(), 1);
    assert_eq!(due(&mut ledger, &[], 100 + TAKEN_FOR_S), [0]);
    ledger.handle_applied(&wanted[0], at(1));
    assert_eq!(ledger.taken().count(), 0);
    // What is not wanted any more, or is there and ours, is not taken.
    ledger.handle_taken(Key::of(&wanted[0]), 200);
    assert_eq!(due(&mut ledger, &[("a", 1)], 201), [0]);
    assert_eq!(ledger.taken().count(), 0);
    ledger.handle_taken(Key::of(&wanted[0]), 200);
    let _ = ledger.poll_changes(&[], &there(&[]), 201, after(0));
    assert_eq!(ledger.taken().count(), 0);
}

#[test]
fn a_workload_that_is_not_wanted_lingers() {
    let mut ledger = Ledger::default();
    let of = |kind: &str| Key {
        kind: kind.to_owned(),
        name: "a".to_owned(),
    };
    let policy = of("NetworkPolicy");
    let mut found = there(&[("old", 3)]);
    found.insert(policy.clone(), at(1));
    found.insert(of("ConfigMap"), at(1));
    found.insert(of("Service"), at(1));
    let mut gone = |found: &BTreeMap<Key, Standing>, now_s| {
        let changes = ledger.poll_changes(&[], found, now_s, after(30));
        changes.delete
    };
    assert_eq!(gone(&found, 100), std::slice::from_ref(&policy));
    found.remove(&policy);
    assert_eq!(gone(&found, 129), []);
    assert_eq!(gone(&found, 130).len(), 1);
    // It is wanted again for a while: its time begins anew.
    let wanted = [object("old", 1)];
    let _ = ledger.poll_changes(&wanted, &found, 131, after(30));
    assert_eq!(ledger.poll_changes(&[], &found, 140, after(30)).delete, []);
}

#[test]
fn it_lingers_until_what_it_had_is_taken_over_but_not_for_ever() {
    let found = there(&[("old", 3)]);
    let mut ledger = Ledger::default();
    let mut gone = |now_s, is_over| {
        let linger = Linger {
            min_s: 30,
            max_s: 600,
            is_over,
        };
        ledger.poll_changes(&[], &found, now_s, linger).delete.len()
    };
    assert_eq!(gone(100, true), 0);
    assert_eq!(gone(130, false), 0);
    assert_eq!(gone(130, true), 1);
    assert_eq!(gone(699, false), 0);
    assert_eq!(gone(700, false), 1);
}

/// What was held back is due still, whatever was said of its number meanwhile.
#[test]
fn a_number_is_no_more_than_that() {
    let mut ledger = Ledger::default();
    ledger.handle_applied(&object("a", 1), at(7));
    ledger.handle_scaled(&object("a", 2), &at(8));
    check(&mut ledger, &[object("a", 2)], &[("a", 8)], &[0], &[]);
    check(&mut ledger, &[object("a", 1)], &[("a", 8)], &[], &[]);
    // Somebody has changed more than its number.
    ledger.handle_scaled(&object("a", 1), &at(10));
    check(&mut ledger, &[object("a", 1)], &[("a", 10)], &[0], &[]);
    // Of what was not applied yet nothing is known.
    ledger.handle_scaled(&object("b", 1), &at(1));
    check(&mut ledger, &[object("b", 1)], &[("b", 1)], &[0], &[]);
    assert!(ledger.is_applied(&Key::of(&object("a", 1)), "uid"));
    assert!(!ledger.is_applied(&Key::of(&object("a", 1)), "another"));
}
